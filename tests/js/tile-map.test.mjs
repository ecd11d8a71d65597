import assert from "node:assert/strict";
import { test } from "node:test";

import { inView } from "../../streaming/static/streaming/client/tile-view.js";
import { viewOf } from "../../streaming/static/streaming/map/tile-range.js";

/** The columns and rows of a zoom that a view asks for. */
function asked({ bbox, zoomRange }) {
  const z = zoomRange.start;
  const places = [];
  for (let x = 0; x < 2 ** z; x += 1)
    for (let y = 0; y < 2 ** z; y += 1) if (inView({ bbox, zoom_range: zoomRange }, { z, x, y })) places.push([x, y]);
  return { columns: [...new Set(places.map(([x]) => x))], rows: [...new Set(places.map(([, y]) => y))] };
}

const range = (left, top, right, bottom) => ({ min: { x: left, y: top }, max: { x: right, y: bottom } });

test("a view asks for the tiles of the map and no others", () => {
  assert.deepEqual(asked(viewOf(4, range(3, 5, 6, 7))), { columns: [3, 4, 5, 6], rows: [5, 6, 7] });
  assert.deepEqual(viewOf(4, range(3, 5, 6, 7)).zoomRange, { start: 4, end: 5 });
});

test("padding ends at the poles and goes on across the antimeridian", () => {
  assert.deepEqual(asked(viewOf(3, range(0, 0, 1, 1), 1)), { columns: [0, 1, 2, 7], rows: [0, 1, 2] });
});

test("copies of the world are the same tiles", () => {
  assert.deepEqual(viewOf(3, range(-9, 2, -7, 3)), viewOf(3, range(7, 2, 9, 3)));
  assert.deepEqual(asked(viewOf(3, range(7, 2, 9, 3))).columns, [0, 1, 7]);
});

test("a map wider than the world asks for the world", () => {
  assert.deepEqual(asked(viewOf(1, range(-2, 0, 3, 1), 1)), { columns: [0, 1], rows: [0, 1] });
  assert.deepEqual(asked(viewOf(0, range(0, 0, 0, 0))), { columns: [0], rows: [0] });
});

test("at the highest zoom the box still touches one tile only", () => {
  const { bbox, zoomRange } = viewOf(30, range(5e8, 4e8, 5e8, 4e8));
  const holds = (x, y) => inView({ bbox, zoom_range: zoomRange }, { z: 30, x, y });
  assert.deepEqual([holds(5e8, 4e8), holds(5e8 + 1, 4e8), holds(5e8, 4e8 + 1), holds(5e8, 4e8 - 1)], [true, false, false, false]);
});
