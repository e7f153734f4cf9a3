/** Thread entry of a packet lane; the code is in `src/io/lanes/`. */
export { runPacketLane } from "../src/io/lanes/lane-worker.ts";
