import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as fzstd from "fzstd";

import { applyToBytes, applyXor, readPatch } from "../../streaming/static/streaming/client/tile-deltas.js";

const CASES = JSON.parse(readFileSync(new URL("fixtures/tile-deltas.json", import.meta.url)));
const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));

/** What `make_tile_deltas.py` makes. */
function baseOf({ length, text }) {
  if (text) return new Uint8Array(Buffer.from(text.repeat(length / text.length + 1).slice(0, length)));
  let seed = 1;
  return Uint8Array.from({ length }, () => ((seed = (seed * 48_271) % 0x7fffffff) >> 8) & 255);
}

function expected(base, { edits, new_length }) {
  const next = new Uint8Array(Math.max(base.length, new_length));
  next.set(base);
  for (const [place, text] of edits) next.set(Buffer.from(text), place);
  return next.slice(0, new_length);
}

function apply(encoding, base, delta) {
  if (encoding === "xor+zstd") return new Uint8Array(applyXor(base, delta, fzstd));
  return applyToBytes(encoding, base, delta, fzstd);
}

for (const example of CASES) {
  test(`${example.encoding} of the server is applied: ${example.name}`, () => {
    const base = baseOf(example);
    const next = apply(example.encoding, base, bytes(example.delta));
    assert.ok(Buffer.from(next).equals(Buffer.from(expected(base, example))));
    assert.ok(Buffer.from(base).equals(Buffer.from(baseOf(example))), "the old version stays as it is");
  });
}

for (const example of CASES.filter(({ encoding, edits }) => encoding !== "upstream" && edits.length)) {
  test(`${example.encoding} cut short is refused: ${example.name}`, () => {
    const delta = bytes(example.delta);
    for (const kept of [0, 3, 5, 8, delta.length >> 1, delta.length - 5])
      assert.throws(() => apply(example.encoding, baseOf(example), delta.subarray(0, kept)), `${kept} bytes`);
  });
}

test("a delta for pixels of another size is refused", () => {
  const { delta } = CASES.find(({ encoding }) => encoding === "xor+zstd");
  assert.throws(() => applyXor(new Uint8Array(4), bytes(delta), fzstd), { code: "bad_frame" });
});

test("a frame that promises gigabytes is refused before anything is made of it", () => {
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0xff, 1, 0, 0);
  assert.throws(() => applyToBytes("prefix+zstd", new Uint8Array(4), frame, fzstd), { code: "bad_frame" });
});

test("upstream deltas that are no such thing are refused", () => {
  const base = new Uint8Array(4);
  const deltas = [[], [1, 0, 0], [4, 0, 0, 0, 9], [4, 0, 0, 0, 4, 0, 0, 0, 1], [0, 0, 0, 0x7f]];
  for (const delta of deltas) assert.throws(() => applyToBytes("upstream", base, Uint8Array.from(delta)), { code: "bad_frame" });
});

test("an encoding nobody knows is refused", () => {
  assert.throws(() => applyToBytes("magic", new Uint8Array(4), new Uint8Array(4)), { code: "bad_frame" });
});

test("a patch says where it belongs", () => {
  assert.deepEqual(readPatch(Uint8Array.of(1, 2, 3, 0, 7, 8)), { x: 513, y: 3, image: Uint8Array.of(7, 8) });
  assert.throws(() => readPatch(Uint8Array.of(1, 0, 2, 0)), { code: "bad_frame" });
});
