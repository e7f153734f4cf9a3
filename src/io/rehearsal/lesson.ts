/**
 * What V8 is to learn from an act of a rehearsal: the shapes of the objects that the code meets (`eager-feedback.ts`), or also which code is busy, so that it is
 * optimized at once (`late-optimizing.ts`).
 */
export type Lesson = "shapes" | "speed";
