/** What `read` makes of a program's command line. Ends the process where that asks for help, or cannot be read. */
export function readOrExplain<T>(usage: string, read: () => T): T {
  if (process.argv.includes("-h") || process.argv.includes("--help")) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    process.exit(2);
  }
}
