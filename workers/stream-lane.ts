/** Thread entry of the stream lane; the code is in `src/io/lanes/`. */
export { runStreamTask } from "../src/io/lanes/stream-worker.ts";
