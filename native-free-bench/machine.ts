/** What the figures were measured on. Figures of two machines, or under different load, do not compare. */
import { cpus, loadavg, release } from "node:os";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
  readonly system: string;
  /** Load averages over 1, 5 and 15 minutes, before the first measurement. */
  readonly load: readonly number[];
  readonly time: string;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown processor",
    cores: processors.length,
    node: process.version,
    system: `${process.platform} ${process.arch} ${release()}`,
    load: loadavg().map((value) => Number(value.toFixed(2))),
    time: new Date().toISOString(),
  };
}

export function machineLine({ processor, cores, node, system, load, time }: Machine): string {
  return `${processor} × ${cores}, node ${node}, ${system}, load ${load.join(" ")}, ${time}`;
}
