// The cells of aggregates are those of H3's own library for JavaScript. The fixture is written by tests/features/aggregates/h3_vectors.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cellToBoundary, latLngToCell } from "h3-js";

const vectors = JSON.parse(readFileSync(new URL("fixtures/h3-cells.json", import.meta.url), "utf8"));

/** Longitudes of -180 and 180 are the same place. */
const near = (one, other) => Math.abs(((one - other + 540) % 360) - 180) < 1e-6;

test("h3-js finds each place in the same cell", () => {
  for (const [x, y, resolution, id] of vectors) assert.equal(latLngToCell(y, x, resolution), id);
});

test("h3-js draws the same corners", () => {
  for (const [, , , id, { type, coordinates }] of vectors) {
    const drawn = (type === "Polygon" ? [coordinates] : coordinates).flat(2);
    for (const [y, x] of cellToBoundary(id)) {
      assert.ok(drawn.some(([u, v]) => (near(x, u) || Math.abs(y) > 89.9999) && Math.abs(y - v) < 1e-6), `${id} has no corner at ${x}, ${y}`);
    }
  }
});
