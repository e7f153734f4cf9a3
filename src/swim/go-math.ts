/**
 * Logarithms as Go computes them. The protocol truncates and rounds up logarithms, so the last bit matters:
 * one rounding more and log10(1000) falls below 3, which shortens a suspicion. Same algorithm (FreeBSD's e_log.c, argument
 * reduction by frexp) and the same order of operations, so that our timeouts equal theirs to the nanosecond.
 */

// Quotients of constants are rounded once, as Go's compiler does, not after each rounded operand.
const LOG2_E = 1.4426950408889634;
const LOG10_2 = 0.3010299956639812;
const LN2_HI = 0.6931471803691238;
const LN2_LO = 1.9082149292705877e-10;

/** A positive finite number as fraction × 2^exponent with fraction in [0.5, 1). */
function frexp(x: number): { fraction: number; exponent: number } {
  let exponent = 0;
  let fraction = x;
  while (fraction >= 1) {
    fraction /= 2;
    exponent += 1;
  }
  while (fraction < 0.5) {
    fraction *= 2;
    exponent -= 1;
  }
  return { fraction, exponent };
}

/** Natural logarithm of a positive finite number. */
export function goLog(x: number): number {
  let { fraction, exponent } = frexp(x);
  if (fraction < Math.SQRT1_2) {
    fraction *= 2;
    exponent -= 1;
  }
  const f = fraction - 1;
  const s = f / (2 + f);
  const s2 = s * s;
  const s4 = s2 * s2;
  const t1 = s2 * (0.6666666666666735 + s4 * (0.2857142874366239 + s4 * (0.1818357216161805 + s4 * 0.14798198605116586)));
  const t2 = s4 * (0.3999999999940942 + s4 * (0.22222198432149784 + s4 * 0.15313837699209373));
  const r = t1 + t2;
  const halfSquare = 0.5 * f * f;
  return exponent * LN2_HI - (halfSquare - (s * (halfSquare + r) + exponent * LN2_LO) - f);
}

/** Base-2 logarithm of a positive finite number; exact for powers of two. */
export function goLog2(x: number): number {
  const { fraction, exponent } = frexp(x);
  if (fraction === 0.5) return exponent - 1;
  return goLog(fraction) * LOG2_E + exponent;
}

/** Base-10 logarithm of a positive finite number. */
export function goLog10(x: number): number {
  return goLog2(x) * LOG10_2;
}
