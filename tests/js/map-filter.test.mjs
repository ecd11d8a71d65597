/** Which properties a filter names, and so which layers it is for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FilterScope, propertiesOf } from "../../streaming/static/streaming/map/filter-scope.js";

const NAMED = [
  ["mag > 5", ["mag"]],
  ["altitude_ft BETWEEN 1 AND 2e5 and NOT callsign LIKE 'mag%'", ["altitude_ft", "callsign"]],
  ["name = 'it''s a mag' or name = 'o\\'mag'", ["name"]],
  ['"odd ""name""" IS NULL', ['odd "name"']],
  ["S_DWITHIN(geometry, POINT(8.5 47.3), 500) and id in ('a', 'b')", []],
  ["CASEI(größe) = casei('x') and addr.city = 'Bern'", ["größe", "addr.city"]],
  [null, []],
];

for (const [filter, names] of NAMED) test(`${filter} names ${names.join() || "nothing"}`, () => assert.deepEqual(propertiesOf(filter), names));

function scopeOf(layers) {
  const scenes = Object.entries(layers).map(([name, names]) => [name, { propertyNames: new Set(names) }]);
  return new FilterScope(new Map(scenes), "/api/layers/");
}

test("a filter is not for layers without its properties", async () => {
  const scope = scopeOf({ flights: ["alt", "speed"], quakes: ["mag"] });
  assert.deepEqual(await scope.judge("alt > 1", ["flights", "quakes"]), { others: ["quakes"], unknown: [], properties: ["alt", "mag", "speed"] });
});

test("what no layer has is unknown", async () => {
  const { unknown } = await scopeOf({ quakes: ["mag"] }).judge("depth > 1", ["quakes"]);
  assert.deepEqual(unknown, ["depth"]);
});

test("a layer of which nothing is known may have anything", async () => {
  globalThis.fetch = async () => ({ ok: true, json: async () => ({ features: [] }) });
  const { others, unknown } = await scopeOf({ empty: [] }).judge("depth > 1", ["empty"]);
  assert.deepEqual([others, unknown], [[], []]);
});
