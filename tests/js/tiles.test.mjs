import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";

import * as msgpack from "@msgpack/msgpack";
import * as fzstd from "fzstd";
import WebSocket from "ws";

import { inView } from "../../streaming/static/streaming/client/tile-view.js";
import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, inState, nextEvent } from "./fake-server.mjs";

const VIEW = { bbox: [-10, -10, 10, 10], zoomRange: { start: 1, end: 2 } };
const INFO = { relief: { format: "png", mime_type: "image/png", tile_size: 256, min_zoom: 0, max_zoom: 6, bounds: [-180, -85, 180, 85] } };
const MVT = "application/vnd.mapbox-vector-tile";

let server;
let client;

beforeEach(async () => {
  server = await FakeServer.start();
});

afterEach(async () => {
  client?.close();
  await server.stop();
});

async function connect(options = {}) {
  client = new GeoStreamClient(server.url, { WebSocket, backoff: { initial: 1, max: 5 }, ...options });
  await client.connect();
}

function send(tile, data, fields = {}) {
  const encoded = server.socket.format === "Json" ? Buffer.from(data).toString("base64") : Uint8Array.from(data);
  server.send({ type: "tile_data", subscription_id: "tiles-1", tile, data: encoded, mime_type: MVT, tileset: "relief", ...fields });
}

const ready = () => server.send({ type: "tiles_ready", subscription_id: "tiles-1" });

async function accept(fields = {}) {
  const request = await server.next("subscribe_tiles");
  server.ack(request.subscription_id, { tile_count: 4, tilesets: INFO, ...fields });
  return request;
}

/** A ready subscription that holds the tile 1/0/0 in version v1. */
async function relief(options = {}, fields = {}) {
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW, ...options });
  await accept();
  send([0, 0, 1], [1, 2, 3, 4], { version: "v1", ...fields });
  ready();
  await subscription.whenReady();
  return subscription;
}

/** Of pixels that nobody has to decode: a picture is the list of what was done to it. Decoding takes longer the shorter the data. */
const pictures = {
  delta: ["patch+webp", "xor+zstd"],
  async open(data) {
    if (data[0] === 0) throw new Error("no image");
    await new Promise((resolve) => setTimeout(resolve, 20 - data.length));
    const painted = [`open ${data}`];
    const patch = async (x, y, image) => {
      if (image[0] === 0) throw new Error("no image");
      await new Promise((resolve) => setTimeout(resolve, 20 - image.length));
      painted.push(`patch ${x},${y} ${image}`);
    };
    return { painted, patch };
  },
};
const PNG = { mime_type: "image/png" };

test("the options become the keys of the protocol", async () => {
  await connect();
  client.subscribeTiles({ tileset: ["relief", "roads"], ...VIEW, tileSize: 512 });
  assert.deepEqual(await server.next("subscribe_tiles"), {
    type: "subscribe_tiles",
    subscription_id: "tiles-1",
    tileset: ["relief", "roads"],
    bbox: [-10, -10, 10, 10],
    zoom_range: { start: 1, end: 2 },
    tile_size: 512,
    data_encoding: "base64",
    progress: true,
  });
});

test("zstd deltas are offered where there is fzstd, pixel deltas where there are pictures", async () => {
  await connect({ fzstd });
  client.subscribeTiles({ tileset: "relief", ...VIEW });
  client.subscribeTiles({ tileset: "relief", ...VIEW, pictures });
  client.subscribeTiles({ tileset: "relief", ...VIEW, delta: ["upstream", "magic"] });
  const offered = [];
  for (let count = 0; count < 3; count += 1) {
    const { subscription_id: id, delta } = await server.next("subscribe_tiles");
    offered.push([id, delta]);
  }
  assert.deepEqual(Object.fromEntries(offered), {
    "tiles-1": ["prefix+zstd"],
    "tiles-2": ["patch+webp", "xor+zstd", "prefix+zstd"],
    "tiles-3": ["upstream"],
  });
});

test("an fzstd that cannot be loaded is an error, and goes without", async () => {
  await connect({ fzstd: "file:///nowhere/fzstd.js" });
  const error = nextEvent(client, "error");
  client.subscribeTiles({ tileset: "relief", ...VIEW });
  assert.equal((await error).code, "no_module");
  assert.equal("delta" in (await server.next("subscribe_tiles")), false);
});

test("a tile arrives with its bytes, and is held", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW });
  await accept();
  const arrived = nextEvent(subscription, "tile");
  send([1, 0, 1], [9, 8], { version: "v7" });
  const { bytes, picture, ...rest } = await arrived;
  assert.deepEqual([...bytes], [9, 8]);
  assert.equal(picture, null);
  const place = { tileset: "relief", x: 1, y: 0, z: 1 };
  assert.deepEqual(rest, { ...place, version: "v7", mimeType: MVT, empty: false, encoding: null, received: 2, whole: 2 });
  assert.equal(subscription.get("relief", 1, 1, 0).version, "v7");
  assert.deepEqual(subscription.tilesets, INFO);
});

test("MessagePack carries bytes as they are", async () => {
  await connect({ format: "MessagePack", msgpack });
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW });
  assert.equal((await accept()).data_encoding, "bin");
  const arrived = nextEvent(subscription, "tile");
  send([1, 0, 1], [9, 8], { version: "v7" });
  assert.deepEqual([...(await arrived).bytes], [9, 8]);
});

test("a list of numbers is understood", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW, dataEncoding: "list" });
  assert.equal((await accept()).data_encoding, "list");
  const arrived = nextEvent(subscription, "tile");
  server.send({
    type: "tile_data",
    subscription_id: "tiles-1",
    tile: [0, 0, 1],
    data: [5, 6],
    mime_type: MVT,
    tileset: "relief",
    version: "v",
  });
  assert.deepEqual([...(await arrived).bytes], [5, 6]);
});

test("a delta makes the next version of the bytes", async () => {
  await connect();
  const subscription = await relief({ delta: ["upstream"] });
  const arrived = nextEvent(subscription, "tile");
  send([0, 0, 1], [5, 0, 0, 0, 4, 0, 0, 0, 5], { version: "v2", encoding: "upstream", base_version: "v1" });
  const change = await arrived;
  assert.deepEqual([[...change.bytes], change.version, change.received, change.whole], [[1, 2, 3, 4, 5], "v2", 9, 9]);
  assert.deepEqual(subscription.stats, { tiles: 2, deltas: 1, received: 13, whole: 13 });
});

test("an empty tile is told and no longer held", async () => {
  await connect();
  const subscription = await relief();
  const arrived = nextEvent(subscription, "tile");
  send([0, 0, 1], [], { version: "" });
  assert.equal((await arrived).empty, true);
  assert.equal(subscription.tiles.size, 0);
});

test("what takes longer to decode is still applied in the order of arrival", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW, pictures });
  await accept();
  const seen = [];
  subscription.addEventListener("tile", ({ detail }) => seen.push(detail.picture.painted.length));
  send([0, 0, 1], [7], { version: "v1", ...PNG });
  send([0, 0, 1], [1, 0, 2, 0, 1, 1, 1, 1, 1, 1], { version: "v2", encoding: "patch+webp", base_version: "v1", ...PNG });
  send([0, 0, 1], [3, 0, 4, 0, 2], { version: "v3", encoding: "patch+webp", base_version: "v2", ...PNG });
  ready();
  await subscription.whenReady();
  assert.deepEqual(seen, [1, 2, 3]);
  const tile = subscription.get("relief", 1, 0, 0);
  assert.deepEqual(tile.picture.painted, ["open 7", "patch 1,2 1,1,1,1,1,1", "patch 3,4 2"]);
  assert.equal(tile.bytes, null);
});

test("a delta from a version that is not held is not applied, and the tile asked for anew", async () => {
  await connect();
  const subscription = await relief({ delta: ["upstream"] });
  send([1, 0, 1], [1], { version: "w1" });
  await nextEvent(subscription, "tile");
  send([0, 0, 1], [1, 0, 0, 0], { version: "v3", encoding: "upstream", base_version: "v2" });
  assert.equal((await server.next("unsubscribe")).subscription_id, "tiles-1");
  const { have } = await server.next("subscribe_tiles");
  assert.deepEqual(have, { relief: [[1, 0, 1, "w1"]] });
  assert.deepEqual([...subscription.get("relief", 1, 0, 0).bytes], [1, 2, 3, 4], "it is shown as it was");
  send([0, 0, 1], [6], { version: "late" });
  server.ack("tiles-1");
  server.ack("tiles-1", { tile_count: 4, tilesets: INFO });
  send([0, 0, 1], [7, 7], { version: "v3" });
  ready();
  await nextEvent(subscription, "ready");
  assert.deepEqual([...subscription.get("relief", 1, 0, 0).bytes], [7, 7]);
});

test("a delta that cannot be decoded has the tile asked for anew", async () => {
  await connect();
  const subscription = await relief({ pictures }, PNG);
  send([0, 0, 1], [1, 0, 2, 0, 0], { version: "v2", encoding: "patch+webp", base_version: "v1", ...PNG });
  await server.next("unsubscribe");
  assert.equal("have" in (await server.next("subscribe_tiles")), false);
  assert.deepEqual(subscription.get("relief", 1, 0, 0).picture.painted, ["open 1,2,3,4"]);
});

test("a whole tile that is no image is an error, and not asked for again", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW, pictures });
  await accept();
  const error = nextEvent(subscription, "error");
  send([0, 0, 1], [0], { version: "v1", ...PNG });
  ready();
  assert.equal((await error).code, "bad_tile");
  await subscription.whenReady();
  assert.equal(
    server.received.some(({ type }) => type === "unsubscribe"),
    false,
  );
});

test("after a lost connection only what is held is named, and the rest comes", async () => {
  await connect();
  const subscription = await relief();
  server.socket.terminate();
  const { have, bbox } = await accept();
  assert.deepEqual([have, bbox], [{ relief: [[0, 0, 1, "v1"]] }, VIEW.bbox]);
  send([0, 0, 1], [4], { version: "v2" });
  ready();
  await nextEvent(subscription, "ready");
  assert.deepEqual([...subscription.get("relief", 1, 0, 0).bytes], [4]);
});

test("a new view is confirmed before what left it is dropped", async () => {
  await connect();
  const subscription = await relief({ delta: ["upstream"] });
  subscription.update({ bbox: [20, 10, 30, 20] });
  const { bbox, ...rest } = await server.next("update_subscription");
  assert.deepEqual([bbox, rest], [[20, 10, 30, 20], { type: "update_subscription", subscription_id: "tiles-1" }]);
  const arrived = nextEvent(subscription, "tile");
  send([0, 0, 1], [1, 0, 0, 0], { version: "v2", encoding: "upstream", base_version: "v1" });
  ready();
  assert.equal((await arrived).version, "v2");
  assert.equal(subscription.ready, false, "that was the view before");
  const confirmed = nextEvent(subscription, "view");
  server.ack("tiles-1", { tile_count: 1 });
  assert.equal((await confirmed).tile_count, 1);
  assert.equal(subscription.tiles.size, 0);
  ready();
  await nextEvent(subscription, "ready");
});

test("a tile that left the view and is on its way back is kept, and asked about if it does not come", async () => {
  await connect();
  const subscription = await relief();
  subscription.update({ bbox: [20, 10, 30, 20] });
  subscription.update({ bbox: VIEW.bbox });
  server.ack("tiles-1", { tile_count: 1 });
  server.ack("tiles-1", { tile_count: 4 });
  ready();
  await server.next("unsubscribe");
  assert.deepEqual((await server.next("subscribe_tiles")).have, { relief: [[0, 0, 1, "v1"]] });
  server.ack("tiles-1");
  server.ack("tiles-1", { tile_count: 4, tilesets: INFO });
  send([0, 0, 1], [], { version: "" });
  ready();
  await nextEvent(subscription, "ready");
  assert.equal(subscription.tiles.size, 0);
});

test("a tile that left the view and came back whole is in no doubt", async () => {
  await connect();
  const subscription = await relief();
  subscription.update({ bbox: [20, 10, 30, 20] });
  subscription.update({ bbox: VIEW.bbox });
  server.ack("tiles-1", { tile_count: 1 });
  server.ack("tiles-1", { tile_count: 4 });
  send([0, 0, 1], [5], { version: "v2" });
  ready();
  await nextEvent(subscription, "ready");
  assert.deepEqual([...subscription.get("relief", 1, 0, 0).bytes], [5]);
});

test("a view that was moved without a connection is what is asked for, with what it still shows", async () => {
  await connect();
  const subscription = await relief();
  server.socket.terminate();
  await inState(client, "reconnecting");
  subscription.update({ zoomRange: { start: 2, end: 3 } });
  const request = await accept();
  assert.deepEqual([request.zoom_range, "have" in request], [{ start: 2, end: 3 }, false]);
  ready();
  await nextEvent(subscription, "ready");
  assert.equal(subscription.tiles.size, 0);
});

test("a refused view leaves the one before", async () => {
  await connect();
  const subscription = await relief();
  subscription.update({ zoomRange: { start: 0, end: 20 } });
  await server.next("update_subscription");
  server.ack("tiles-1", { success: false, code: "too_many_tiles", message: "ask for fewer" });
  assert.equal((await nextEvent(subscription, "error")).code, "too_many_tiles");
  assert.deepEqual(subscription.conditions.zoom_range, VIEW.zoomRange);
  assert.equal(subscription.tiles.size, 1);
});

test("a refused subscription ends", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "nothing", ...VIEW });
  await server.next("subscribe_tiles");
  server.ack("tiles-1", { success: false, code: "unknown_tileset", message: "there is none" });
  await assert.rejects(subscription.whenReady(), { code: "unknown_tileset" });
  assert.equal(subscription.closed, true);
});

test("tiles can be iterated until the subscription ends", async () => {
  await connect();
  const subscription = client.subscribeTiles({ tileset: "relief", ...VIEW });
  await accept();
  const versions = [];
  const loop = (async () => {
    for await (const { version } of subscription) versions.push(version);
  })();
  send([0, 0, 1], [1], { version: "v1" });
  await nextEvent(subscription, "tile");
  const ended = subscription.unsubscribe();
  await server.next("unsubscribe");
  server.ack("tiles-1");
  await Promise.all([ended, loop]);
  assert.deepEqual(versions, ["v1"]);
});

test("a view holds the tiles that the base protocol matches, but goes on across the antimeridian", () => {
  const { tile_match: cases } = JSON.parse(readFileSync(new URL("../dialects/geo/vectors.json", import.meta.url), "utf8"));
  for (const { label, bbox, zoom_range, tile, matches } of cases) {
    const [x, y, z] = tile;
    assert.equal(inView({ bbox, zoom_range }, { x, y, z }), matches || bbox[0] > bbox[2], label);
  }
});

test("a view holds the tiles it touches, also across the antimeridian", () => {
  const holds = (bbox, z, x, y) => inView({ bbox, zoom_range: { start: 0, end: 6 } }, { x, y, z });
  assert.deepEqual(
    [holds([0, 0, 10, 10], 1, 1, 0), holds([0.1, 0.1, 10, 10], 1, 0, 0), holds([0, 0, 10, 10], 6, 32, 29)],
    [true, false, false],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((n) => holds([0, 0, 0, 0], 1, n & 1, n >> 1)),
    [true, true, true, true],
    "edges count",
  );
  const fiji = [170, -20, -170, -10];
  assert.deepEqual(
    [0, 1, 2, 3].map((x) => holds(fiji, 2, x, 2)),
    [true, false, false, true],
  );
  assert.equal(holds([-180, 86, 180, 89], 0, 0, 0), false);
});
