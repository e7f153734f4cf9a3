/** A member as the shared records name it. */
export interface AdoptedMember {
  readonly slot: number;
  readonly variant: number;
  readonly incarnation: number;
}

/** Members of long standing, as columns by row: thousands of nodes of a simulation adopt the same thousands. */
export class AdoptedMembers {
  readonly slots: Uint32Array;
  readonly variants: Uint32Array;
  readonly incarnations: Uint32Array;
  readonly lastSlot: number;
  /** Bytes of them all in a push/pull, in each of the two layers, once a node that knows just these has summed them up; -1 before. */
  statesLength = -1;
  timesLength = -1;

  constructor(members: readonly AdoptedMember[]) {
    this.slots = Uint32Array.from(members, ({ slot }) => slot);
    this.variants = Uint32Array.from(members, ({ variant }) => variant);
    this.incarnations = Uint32Array.from(members, ({ incarnation }) => incarnation);
    this.lastSlot = this.slots.reduce((last, slot) => Math.max(last, slot), 0);
  }

  get length(): number {
    return this.slots.length;
  }
}
