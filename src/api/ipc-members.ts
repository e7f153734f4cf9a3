/** Answers that list members: encoded once per change and shared by all connections, or filtered by expressions. */
import { AnswerFrame } from "./answer-frame.ts";
import type { IpcView } from "./ipc-types.ts";
import type { IpcMember, MembersFilteredRequest } from "../wire/ipc-messages.ts";
import { encodeMembers, SUCCESS_HEADER_BYTES_MAX } from "../wire/ipc-responses.ts";

export class MembersAnswer {
  #members: readonly IpcMember[] = [];
  #frame: AnswerFrame | null = null;

  /** `{Members}` with everybody. Members are immutable, so an unchanged list is one with the same objects; the list itself must not change either. */
  all(members: readonly IpcMember[]): AnswerFrame {
    if (this.#frame === null || (members !== this.#members && !sameItems(this.#members, members))) {
      this.#frame = new AnswerFrame(encodeMembers(members, SUCCESS_HEADER_BYTES_MAX));
    }
    this.#members = members;
    return this.#frame;
  }

  /** `{Members}` with those who match; what is wrong with an expression otherwise. */
  filtered(view: IpcView, request: MembersFilteredRequest): AnswerFrame | Uint8Array | { readonly error: string } {
    const tests: ((member: IpcMember) => boolean)[] = [];
    for (const [tag, expr] of request.tags ?? []) {
      const test = view.compile(`^${expr}$`);
      if (typeof test !== "function") return test;
      tests.push((member) => test(member.tags.get(tag) ?? ""));
    }
    for (const field of ["status", "name"] as const) {
      if (request[field] === "") continue;
      // The original only puts the anchors around: "failed|left" starts with one or ends with the other.
      const test = view.compile(`^${request[field]}$`);
      if (typeof test !== "function") return test;
      tests.push((member) => test(member[field]));
    }
    const members = view.members();
    if (tests.length === 0) return this.all(members);
    return encodeMembers(members.filter((member) => tests.every((test) => test(member))));
  }
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
