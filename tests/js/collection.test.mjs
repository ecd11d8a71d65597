import assert from "node:assert/strict";
import { test } from "node:test";

import { Collection } from "../../streaming/static/streaming/client/collection.js";
import { point } from "./fake-server.mjs";

const message = (change_type, feature, fields = {}) => ({
  change_type,
  layer: "vehicles",
  id: feature.id,
  geojson: JSON.stringify(feature),
  ...fields,
});
const batch = (change_type, features, fields = {}) => ({
  change_type,
  layer: "vehicles",
  id: null,
  geojson: JSON.stringify({ type: "FeatureCollection", features }),
  ...fields,
});
const summary = (changes) => changes.map(({ type, id }) => [type, id]);

test('the ids 7 and "7" are two features', () => {
  const collection = new Collection(false);
  collection.apply(message("added", point(7, 1)));
  collection.apply(message("added", point("7", 2)));
  assert.equal(collection.features.size, 2);
});

test("equal ids of two layers are two features", () => {
  const collection = new Collection(true);
  collection.apply(message("added", point(7, 1), { layer: "a" }));
  collection.apply(message("added", point(7, 2), { layer: "b" }));
  const { changes } = collection.apply(message("deleted", point(7, 0), { layer: "a", reason: "expired" }));
  assert.deepEqual([...collection.features.keys()], ['["b",7]']);
  assert.deepEqual([changes[0].layer, changes[0].id, changes[0].reason], ["a", 7, "expired"]);
});

test("a batch counts as its features", () => {
  const { count, changes } = new Collection(false).apply(batch("added", [point("a", 1), point("b", 2)]));
  assert.equal(count, 2);
  assert.deepEqual(summary(changes), [
    ["added", "a"],
    ["added", "b"],
  ]);
});

test("an addition of what is known is an update", () => {
  const collection = new Collection(false);
  collection.apply(message("added", point("a", 1)));
  assert.deepEqual(summary(collection.apply(message("added", point("a", 2))).changes), [["updated", "a"]]);
});

test("a deletion of what is not known is no change", () => {
  assert.deepEqual(new Collection(false).apply(message("deleted", point("a", 1))), { count: 1, changes: [] });
});

test("a replacement gives only the difference", () => {
  const collection = new Collection(false);
  collection.apply(batch("added", [point("same", 1, { a: 1, b: 2 }), point("moved", 1), point("gone", 1)]));
  collection.beginReplacement();
  const { changes } = collection.apply(batch("added", [point("same", 1, { b: 2, a: 1 }), point("moved", 2), point("new", 1)]));
  assert.deepEqual(summary(changes), [
    ["updated", "moved"],
    ["added", "new"],
  ]);
  assert.deepEqual(summary(collection.finishReplacement()), [["deleted", "gone"]]);
  assert.deepEqual([...collection.features.keys()], ["same", "moved", "new"]);
});
