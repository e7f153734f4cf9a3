/** Everything one run has found, as it goes to `--json` and `--html`. */
import type { KernelRow } from "./run-kernels.ts";
import type { Machine } from "./machine.ts";
import type { Row, Side } from "./rows.ts";

export interface TargetNote {
  readonly side: Side;
  readonly command: string;
  /** First line of what its `version` command prints. */
  readonly version: string;
}

export interface Failure {
  readonly group: string;
  readonly error: string;
}

export interface Report {
  readonly machine: Machine;
  readonly seed: number;
  /** Measured in a hurry: the order of magnitude holds, the spread does not. */
  readonly quick: boolean;
  readonly pinning: string;
  readonly targets: readonly TargetNote[];
  readonly kernels: readonly KernelRow[];
  readonly rows: readonly Row[];
  /** Drivers that did not come to an end. */
  readonly failures: readonly Failure[];
}
