/** Bodies in pieces: what comes out is what would have come out at once, and nothing is made before it is asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listBody, PIECE_LENGTH, type LongBody } from "../../../src/api/http/long-body.ts";

function whole({ body, more }: LongBody): string {
  let text = body;
  for (let next = more?.next(); next !== undefined && next.done !== true; next = more?.next()) text += next.value;
  return text;
}

test("pieces make up the whole, whatever the lengths of the items", () => {
  for (const lengths of [[], [0], [1, 2, 3], [PIECE_LENGTH, PIECE_LENGTH], [PIECE_LENGTH - 1, 1, 1], Array.from({ length: 5000 }, (_, i) => i % 97), [10 * PIECE_LENGTH, 1]]) {
    const items = lengths.map((length) => "x".repeat(length));
    assert.equal(whole(listBody(items, (item) => item, "<", "|", ">")), `<${items.join("|")}>`);
  }
  assert.equal(listBody(["a", "b"], (item) => item, "[", ",", "]").more, null);
});

test("items are written when their piece is asked for", () => {
  let written = 0;
  const items = Array.from({ length: 1000 }, () => "x".repeat(1000));
  const { body, more } = listBody(items, (item) => {
    written += 1;
    return item;
  }, "", "", "");
  const piece = Math.ceil(PIECE_LENGTH / 1000);
  assert.equal(body.length, piece * 1000);
  assert.equal(written, 2 * piece, "one piece ahead: whether there is another must be known");
  more?.next();
  more?.next();
  assert.equal(written, 3 * piece);
});
