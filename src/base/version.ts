/** The version in `package.json`; a test compares them. Kept here so that no command reads a file for it. */
export const VERSION = "0.1.0";
