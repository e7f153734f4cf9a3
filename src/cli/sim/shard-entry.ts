/** A thread that plays a shard of a run besides the first: see `shard-threads.ts`. */
import { workerData } from "node:worker_threads";
import { playShard, type ShardJob } from "./shard-threads.ts";

playShard(workerData as ShardJob);
