/** Thread entry of the log worker; the code is in `src/io/lanes/`. */
export { runLogWorker } from "../src/io/lanes/log-worker.ts";
