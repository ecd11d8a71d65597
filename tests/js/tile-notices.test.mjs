import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import WebSocket from "ws";

import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, inState, nextEvent } from "./fake-server.mjs";

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

/** A subscription to the tileset "relief" that the server has confirmed, in a state of that name. */
async function relief(version, options = {}) {
  const subscription = client.subscribeTileNotices({ tileset: "relief", ...options });
  await confirm(subscription, version);
  return subscription;
}

async function confirm(subscription, version) {
  await server.next("subscribe_tiles");
  const ready = nextEvent(subscription, "ready");
  server.ack(subscription.id, { tilesets: { relief: { format: "png", version } } });
  await ready;
}

test("notices are asked for of the world and all zooms, or of a view", async () => {
  client.subscribeTileNotices();
  assert.deepEqual(await server.next("subscribe_tiles"), {
    type: "subscribe_tiles",
    subscription_id: "tile-notices-1",
    bbox: [-180, -90, 180, 90],
    zoom_range: { start: 0, end: 31 },
    notices: true,
  });
  client.subscribeTileNotices({ tileset: ["a", "b"], bbox: [1, 2, 3, 4], zoomRange: { start: 2, end: 4 }, id: "mine" });
  assert.deepEqual(await server.next("subscribe_tiles"), {
    type: "subscribe_tiles",
    subscription_id: "mine",
    bbox: [1, 2, 3, 4],
    zoom_range: { start: 2, end: 4 },
    tileset: ["a", "b"],
    notices: true,
  });
});

test("a notice names the tiles to be fetched again", async () => {
  const subscription = await relief("v1");
  const message = { type: "tiles_changed", subscription_id: subscription.id, tileset: "relief", version: "v2" };
  server.send({ ...message, tiles: [[33, 22, 6]] });
  assert.deepEqual(await nextEvent(subscription, "changed"), { tileset: "relief", tiles: [{ x: 33, y: 22, z: 6 }], version: "v2" });
  server.send({ ...message, tiles: null });
  assert.deepEqual(await nextEvent(subscription, "changed"), { tileset: "relief", tiles: null, version: "v2" });
});

test("notices can be iterated over", async () => {
  const subscription = await relief("v1");
  const notices = subscription[Symbol.asyncIterator]();
  server.send({ type: "tiles_changed", subscription_id: subscription.id, tileset: "relief", tiles: [[0, 0, 0]], version: null });
  const { value } = await notices.next();
  assert.deepEqual(value, { tileset: "relief", tiles: [{ x: 0, y: 0, z: 0 }], version: null });
});

for (const { known, found, missed } of [
  { known: "v1", found: "v2", missed: true },
  { known: "v1", found: "v1", missed: false },
  { known: null, found: null, missed: true },
]) {
  test(`a tileset that was ${known} and is ${found} after a lost connection has ${missed ? "changed" : "stayed"}`, async () => {
    const subscription = await relief(known);
    const told = [];
    subscription.addEventListener("changed", ({ detail }) => told.push(detail));
    server.socket.terminate();
    await inState(client, "reconnecting");
    await confirm(subscription, found);
    assert.deepEqual(told, missed ? [{ tileset: "relief", tiles: null, version: found }] : []);
  });
}

test("a moved view is asked for, and again after a lost connection", async () => {
  const subscription = await relief("v1");
  subscription.update({ bbox: [1, 2, 3, 4] });
  assert.deepEqual(await server.next("update_subscription"), {
    type: "update_subscription",
    subscription_id: subscription.id,
    bbox: [1, 2, 3, 4],
  });
  server.ack(subscription.id);
  await nextEvent(subscription, "view");
  server.socket.terminate();
  assert.deepEqual((await server.next("subscribe_tiles")).bbox, [1, 2, 3, 4]);
});
