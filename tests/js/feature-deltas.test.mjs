import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import WebSocket from "ws";

import { Collection, Misfit, mergePatch } from "../../streaming/static/streaming/client/collection.js";
import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, nextEvent, point, until } from "./fake-server.mjs";

let server;
let client;

beforeEach(async () => {
  server = await FakeServer.start();
  client = new GeoStreamClient(server.url, { WebSocket, backoff: { initial: 1, max: 5 } });
  await client.connect();
});

afterEach(async () => {
  client.close();
  await server.stop();
});

/** A ready subscription that holds "a" (version a1) and "b" (version b1). */
async function vehicles() {
  const subscription = client.subscribeFeatures("vehicles", { delta: true });
  const request = await server.next("subscribe_features");
  assert.deepEqual(request.delta, ["merge-patch"]);
  server.ack(subscription.id, { cursor: "e:2", snapshot_count: 2 });
  server.feature(subscription.id, "added", point("a", 1, { speed: 1, kind: "bus" }), { version: "a1" });
  server.feature(subscription.id, "added", point("b", 2), { version: "b1", cursor: "e:2" });
  await subscription.whenReady();
  return subscription;
}

const patch = (subscription, id, content, base_version, version, fields = {}) =>
  server.feature(subscription.id, "updated", content, { id, encoding: "merge-patch", base_version, version, ...fields });

for (const [target, change, merged] of [
  [{ a: 1, b: 2 }, { b: null, c: 3 }, { a: 1, c: 3 }],
  [{ a: { b: 1 } }, { a: { c: [null] } }, { a: { b: 1, c: [null] } }],
  [{ a: [1] }, { a: { b: { c: null } } }, { a: { b: {} } }],
  [{ a: 1 }, {}, { a: 1 }],
]) {
  test(`merging ${JSON.stringify(change)} into ${JSON.stringify(target)}`, () => {
    const before = structuredClone(target);
    assert.deepEqual(mergePatch(target, change), merged);
    assert.deepEqual(target, before);
  });
}

test("a member called __proto__ is a member", () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__":{"a":1}}'));
  assert.equal(JSON.stringify(merged), '{"__proto__":{"a":1}}');
});

test("a delta changes what is held", async () => {
  const subscription = await vehicles();
  const change = nextEvent(subscription, "change");
  patch(subscription, "a", { geometry: { coordinates: [5, 0] }, properties: { speed: null } }, "a1", "a2", { cursor: "e:3" });
  const { type, feature, previous } = await change;
  assert.deepEqual([type, feature], ["updated", point("a", 5, { kind: "bus" })]);
  assert.deepEqual(previous, point("a", 1, { speed: 1, kind: "bus" }));
  assert.equal(subscription.cursor, "e:3");
});

test("a delta follows another", async () => {
  const subscription = await vehicles();
  patch(subscription, "a", { properties: { speed: 2 } }, "a1", "a2");
  patch(subscription, "a", { properties: { speed: 3 } }, "a2", "a3");
  await until(() => subscription.get("a").properties.speed !== 1);
  await until(() => subscription.get("a").properties.speed !== 2);
  assert.equal(subscription.get("a").properties.speed, 3);
});

test("nothing of a batch is taken of which one does not fit", () => {
  const collection = new Collection(false);
  const message = { layer: "vehicles", id: null, change_type: "added" };
  const text = (features) => JSON.stringify({ type: "FeatureCollection", features });
  collection.apply({ ...message, geojson: text([point("a", 1), point("b", 1)]), version: ["a1", "b1"] });
  const patches = text([
    { id: "a", properties: { x: 1 } },
    { id: "b", properties: { x: 1 } },
  ]);
  const delta = { ...message, change_type: "updated", encoding: "merge-patch", geojson: patches, version: ["a2", "b2"] };
  assert.throws(() => collection.apply({ ...delta, base_version: ["a1", "b0"] }), Misfit);
  assert.deepEqual(collection.features.get("a"), point("a", 1));
  assert.equal(collection.apply({ ...delta, base_version: ["a1", "b1"] }).changes.length, 2);
});

test("after a delta that does not fit the whole state comes", async () => {
  const subscription = await vehicles();
  const changes = [];
  subscription.addEventListener("change", ({ detail }) => changes.push([detail.type, detail.id]));
  patch(subscription, "a", { properties: { speed: 9 } }, "a0", "a9", { cursor: "e:3" });
  server.feature(subscription.id, "updated", point("b", 7), { version: "b2", cursor: "e:4" });
  await server.next("unsubscribe");
  const request = await server.next("subscribe_features");
  assert.deepEqual([request.cursor, request.delta], [undefined, undefined]);
  assert.deepEqual(changes, []);
  const ready = nextEvent(subscription, "ready");
  server.ack(subscription.id);
  server.ack(subscription.id, { cursor: "e:9", snapshot_count: 1 });
  server.feature(subscription.id, "added", point("a", 8), { cursor: "e:9" });
  await ready;
  assert.deepEqual(changes, [
    ["updated", "a"],
    ["deleted", "b"],
  ]);
  assert.deepEqual([subscription.cursor, [...subscription.features.values()]], ["e:9", [point("a", 8)]]);
});

for (const options of [{ cursor: "e:1" }, { snapshot: false }, { delta: false }]) {
  test(`no deltas are asked for with ${JSON.stringify(options)}`, async () => {
    client.subscribeFeatures("vehicles", { delta: true, ...options });
    assert.equal((await server.next("subscribe_features")).delta, undefined);
  });
}
