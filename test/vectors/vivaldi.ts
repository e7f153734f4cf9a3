/** vivaldi: update sequences and distances, to the last bit. */
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/base/random.ts";
import { CoordinateClient } from "../../src/serf/coordinate-client.ts";
import { distance, distanceNs, type Coordinate } from "../../src/serf/vivaldi.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

interface Bits {
  readonly adjustment: string;
  readonly error: string;
  readonly height: string;
  readonly vec: readonly string[];
}

type RecordedCoordinate = Coordinate & { readonly bits?: Bits };

interface Step {
  readonly node: string;
  readonly other: RecordedCoordinate;
  readonly rttNs: number;
  readonly result?: RecordedCoordinate;
  readonly error?: string;
  readonly thenForget?: boolean | string;
}

interface Recording {
  readonly distance: readonly { readonly a: RecordedCoordinate; readonly b: RecordedCoordinate; readonly distanceNs: number; readonly cliText: string }[];
  readonly sequences: readonly { readonly start: RecordedCoordinate; readonly steps: readonly Step[] }[];
}

const STEP_MEMBERS: ReadonlySet<string> = new Set(["node", "other", "rttNs", "result", "error", "thenForget"]);

export function checkVivaldi(data: unknown, report: Report): void {
  const recording = fieldsOf<Recording>(data, ["distance", "sequences"], report);
  for (const [i, item] of (recording.distance ?? []).entries()) {
    attempt(`distance ${i}`, report, () => {
      const [a, b] = [exact(item.a), exact(item.b)];
      assert.equal(distanceNs(a, b), item.distanceNs);
      assert.equal(`${(distance(a, b) * 1000).toFixed(3)} ms`, item.cliText);
    });
  }
  for (const [i, { start, steps }] of (recording.sequences ?? []).entries()) {
    const client = new CoordinateClient(new SeededRandom(1));
    client.set(exact(start));
    for (const [j, step] of steps.entries()) {
      attempt(`sequence ${i} step ${j}`, report, () => {
        for (const member of Object.keys(step)) assert.ok(STEP_MEMBERS.has(member), `unknown ${member} in a step`);
        const refusal = client.update(step.node, exact(step.other), step.rttNs);
        if (step.error !== undefined) assert.equal(refusal, step.error);
        else {
          assert.equal(refusal, null);
          assert.ok(step.result !== undefined, "a step without a result");
          assert.deepEqual(bitsOf(client.coordinate), bitsOf(exact(step.result)));
        }
        if (step.thenForget === true) client.forget(step.node);
        else if (typeof step.thenForget === "string") client.forget(step.thenForget);
      });
    }
  }
}

/** The coordinate from its recorded bits, where there are any. */
function exact(recorded: RecordedCoordinate): Coordinate {
  const { bits, adjustment, error, height, vec } = recorded;
  if (bits === undefined) return { adjustment, error, height, vec };
  return { adjustment: fromBits(bits.adjustment), error: fromBits(bits.error), height: fromBits(bits.height), vec: bits.vec.map(fromBits) };
}

function fromBits(hex: string): number {
  return Buffer.from(hex, "hex").readDoubleBE();
}

function bitsOf({ adjustment, error, height, vec }: Coordinate): Bits {
  return { adjustment: toBits(adjustment), error: toBits(error), height: toBits(height), vec: vec.map(toBits) };
}

function toBits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString("hex");
}
