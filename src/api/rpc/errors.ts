/** Texts of errors by which a caller decides what to do; a hop in between may put its prefix before them. */

/** Too much is waiting to be written: nothing was done, try again. */
export const OVERLOADED = "Too many requests are waiting to be written";
