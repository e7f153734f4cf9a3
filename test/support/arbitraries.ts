import fc from "fast-check";

/** As `fc.record`, with ordinary objects only: what decoders give, so that results compare equal. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}
