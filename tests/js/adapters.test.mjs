import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import WebSocket from "ws";

import * as deckgl from "../../streaming/static/streaming/adapters/deckgl.js";
import * as maplibre from "../../streaming/static/streaming/adapters/maplibre.js";
import * as openlayers from "../../streaming/static/streaming/adapters/openlayers.js";
import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, nextEvent, point, until } from "./fake-server.mjs";

let server;
let client;

beforeEach(async () => {
  server = await FakeServer.start();
  client = new GeoStreamClient(server.url, { WebSocket });
  await client.connect();
});

afterEach(async () => {
  client.close();
  await server.stop();
});

/** What a map of MapLibre does with sources and tiles, noted down. */
class FakeMap {
  listeners = {};
  sources = {};
  layers = [];
  diffs = [];
  refreshed = [];
  loaded = true;
  bounds = [
    [0, 0],
    [10, 10],
  ];

  addSource(id, source) {
    this.sources[id] = { ...source, loaded: () => this.loaded, updateData: (diff) => this.diffs.push(diff) };
  }
  getSource = (id) => this.sources[id];
  removeSource = (id) => delete this.sources[id];
  removeLayer = (id) => (this.layers = this.layers.filter((layer) => layer.id !== id));
  getStyle = () => ({ layers: this.layers });
  getBounds = () => ({ toArray: () => this.bounds });
  getZoom = () => 5.5;
  on = (type, listener) => (this.listeners[type] ??= new Set()).add(listener);
  off = (type, listener) => this.listeners[type].delete(listener);
  isSourceLoaded = () => this.loaded;
  refreshTiles = (source, tiles) => this.refreshed.push(tiles ?? "all");
  fire = (type) => [...(this.listeners[type] ?? [])].forEach((listener) => listener());

  get listening() {
    return Object.values(this.listeners).reduce((sum, { size }) => sum + size, 0);
  }

  /** The difference that comes next. */
  async diff() {
    await until(() => this.diffs.length > 0);
    return this.diffs.shift();
  }
}

/** A subscription that holds "a" (x = 1) and "b" (x = 2). */
async function filled({ id }) {
  await server.next("subscribe_features");
  server.ack(id, { cursor: "e:2", snapshot_count: 2 });
  server.feature(id, "added", point("a", 1, { kind: "bus" }));
  server.feature(id, "added", point("b", 2), { cursor: "e:2" });
}

test("MapLibre: a snapshot is added, with ids in a property", async () => {
  const map = new FakeMap();
  const live = maplibre.liveFeatures(map, client, "vehicles", { sourceOptions: { cluster: true } });
  const { type, promoteId, cluster } = map.getSource("vehicles");
  assert.deepEqual([live.source, type, promoteId, cluster], ["vehicles", "geojson", "@id", true]);
  await filled(live.subscription);
  await until(() => live.subscription.features.size === 2);
  const { add } = await map.diff();
  assert.deepEqual(add[0], {
    type: "Feature",
    id: "a",
    geometry: { type: "Point", coordinates: [1, 0] },
    properties: { kind: "bus", "@id": "a" },
  });
});

test("MapLibre: of a feature that changes only the difference is handed on", async () => {
  const map = new FakeMap();
  const { subscription } = maplibre.liveFeatures(map, client, "vehicles");
  await filled(subscription);
  await map.diff();
  server.feature(subscription.id, "updated", point("a", 3, { kind: "bus", speed: { mean: 7 } }));
  assert.deepEqual(await map.diff(), {
    remove: [],
    add: [],
    update: [
      {
        id: "a",
        newGeometry: { type: "Point", coordinates: [3, 0] },
        removeProperties: [],
        addOrUpdateProperties: [
          { key: "speed", value: { mean: 7 } },
          { key: "speed.mean", value: 7 },
        ],
      },
    ],
  });
  server.feature(subscription.id, "updated", point("a", 3));
  assert.deepEqual((await map.diff()).update, [
    { id: "a", removeProperties: ["kind", "speed", "speed.mean"], addOrUpdateProperties: [] },
  ]);
});

test("MapLibre: what loses its geometry or is deleted is removed", async () => {
  const map = new FakeMap();
  const { subscription } = maplibre.liveFeatures(map, client, "vehicles");
  await filled(subscription);
  await map.diff();
  server.feature(subscription.id, "updated", { ...point("a", 1), geometry: null });
  server.feature(subscription.id, "deleted", point("b", 2));
  await until(() => map.diffs.flatMap(({ remove }) => remove).length === 2);
  assert.deepEqual(
    map.diffs.flatMap(({ remove }) => remove),
    ["a", "b"],
  );
});

test("MapLibre: while the source is busy, changes of a feature become one", async () => {
  const map = new FakeMap();
  const { subscription } = maplibre.liveFeatures(map, client, "vehicles");
  map.loaded = false;
  await filled(subscription);
  server.feature(subscription.id, "updated", point("a", 3));
  server.feature(subscription.id, "updated", point("a", 4));
  await until(() => subscription.get("a")?.geometry.coordinates[0] === 4);
  assert.deepEqual(map.diffs, []);
  map.loaded = true;
  const { add, update } = await map.diff();
  assert.deepEqual([add.map(({ geometry }) => geometry.coordinates[0]), update], [[4, 2], []]);
});

test("MapLibre: features of all layers have keys and layers", async () => {
  const map = new FakeMap();
  const { source, subscription } = maplibre.liveFeatures(map, client, null);
  assert.equal(source, "geostream");
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: {}, snapshot_count: 1 });
  server.feature(subscription.id, "added", point(7, 1));
  const { add } = await map.diff();
  assert.deepEqual(add[0].properties, { "@id": '["vehicles",7]', "@layer": "vehicles" });
});

test("MapLibre: the view is the box of the subscription, and moves it; cells are those of the zoom", async () => {
  const map = new FakeMap();
  maplibre.liveFeatures(map, client, "vehicles", { padding: 0, debounce: 1, aggregate: { by: "h3" } });
  const { bbox, aggregate } = await server.next("subscribe_features");
  assert.deepEqual([bbox, aggregate], [[0, 0, 10, 10], { by: "h3", zoom: 6 }]);
  map.bounds = [
    [5, 5],
    [15, 15],
  ];
  map.fire("move");
  assert.deepEqual((await server.next("update_subscription")).bbox, [5, 5, 15, 15]);
});

test("MapLibre: without `follow`, all that matches is asked for", async () => {
  maplibre.liveFeatures(new FakeMap(), client, "vehicles", { follow: false, filter: "a > 1" });
  const { bbox, filter } = await server.next("subscribe_features");
  assert.deepEqual([bbox, filter], [null, "a > 1"]);
});

test("MapLibre: a style without the source gets it again, with all that is there", async () => {
  const map = new FakeMap();
  const { subscription } = maplibre.liveFeatures(map, client, "vehicles");
  await filled(subscription);
  await until(() => map.diffs.flatMap(({ add }) => add).length === 2);
  map.diffs = [];
  map.sources = {};
  map.fire("styledata");
  const { add } = await map.diff();
  assert.deepEqual(
    add.map(({ id }) => id),
    ["a", "b"],
  );
});

test("MapLibre: removed, it leaves nothing behind", async () => {
  const map = new FakeMap();
  const live = maplibre.liveFeatures(map, client, "vehicles");
  await filled(live.subscription);
  map.layers = [
    { id: "points", source: "vehicles" },
    { id: "other", source: "other" },
  ];
  live.remove();
  assert.equal((await server.next("unsubscribe")).subscription_id, live.subscription.id);
  assert.deepEqual([Object.keys(map.sources), map.layers.map(({ id }) => id), map.listening], [[], ["other"], 0]);
});

test("MapLibre: a map that is removed ends the subscription", async () => {
  const map = new FakeMap();
  const { subscription } = maplibre.liveFeatures(map, client, "vehicles");
  await filled(subscription);
  map.fire("remove");
  assert.equal((await server.next("unsubscribe")).subscription_id, subscription.id);
});

test("a refusal is told", async () => {
  const told = new Promise((resolve) => {
    const { subscription } = maplibre.liveFeatures(new FakeMap(), client, "nothing", { onError: resolve });
    server.next("subscribe_features").then(() => server.ack(subscription.id, { success: false, code: "unknown_layer", message: "none" }));
  });
  assert.equal((await told).code, "unknown_layer");
});

/** Tiles of a source "relief" of MapLibre, whose view the server has confirmed. */
async function tiles(map) {
  map.sources.relief = { tiles: ["/tiles/relief/{z}/{x}/{y}.png"] };
  const live = maplibre.liveTiles(map, "relief", client, "relief");
  await server.next("subscribe_tiles");
  server.ack(live.subscription.id, { tilesets: { relief: { version: "v1" } } });
  await nextEvent(live.subscription, "view");
  return live;
}

test("MapLibre: tiles of a notice are loaded again, as of its version", async () => {
  const map = new FakeMap();
  const { subscription } = await tiles(map);
  await until(() => map.refreshed.length === 1);
  assert.deepEqual(map.refreshed.pop(), "all"); // what was loaded before the server began to watch
  server.send({ type: "tiles_changed", subscription_id: subscription.id, tileset: "relief", tiles: [[33, 22, 6]], version: "v2" });
  await until(() => map.refreshed.length === 1);
  assert.deepEqual(map.refreshed, [[{ x: 33, y: 22, z: 6 }]]);
  assert.deepEqual(map.sources.relief.tiles, ["/tiles/relief/{z}/{x}/{y}.png?version=v2"]);
});

test("MapLibre: while tiles are being loaded, notices wait and become one", async () => {
  const map = new FakeMap();
  const { subscription } = await tiles(map);
  await until(() => map.refreshed.length === 1);
  map.loaded = false;
  const message = { type: "tiles_changed", subscription_id: subscription.id, tileset: "relief", version: "v2" };
  let told = 0;
  subscription.addEventListener("changed", () => (told += 1));
  for (const x of [1, 2, 1]) server.send({ ...message, tiles: [[x, 0, 6]] });
  await until(() => told === 3);
  assert.equal(map.refreshed.length, 1);
  map.loaded = true;
  await until(() => map.refreshed.length === 2);
  assert.deepEqual(
    map.refreshed[1].map(({ x }) => x),
    [1, 2],
  );
});

test("MapLibre: after notices, a move has the tiles that were kept out of sight loaded again", async () => {
  const map = new FakeMap();
  const { subscription, remove } = await tiles(map);
  await until(() => map.refreshed.length === 1);
  map.fire("moveend");
  server.send({ type: "tiles_changed", subscription_id: subscription.id, tileset: "relief", tiles: [[1, 0, 6]], version: null });
  await until(() => map.refreshed.length === 2);
  map.fire("moveend");
  await until(() => map.refreshed.length === 3);
  assert.equal(map.refreshed[2], "all");
  remove();
  assert.equal(map.listening, 0);
});

test("deck.gl: features keep their places, and those that stay as they are stay the same", async () => {
  const given = [];
  const live = deckgl.liveFeatures(client, "vehicles", { onChange: (props) => given.push(props) });
  await filled(live.subscription);
  server.feature(live.subscription.id, "added", point("c", 3));
  await until(() => live.props.data.length === 3);
  const before = live.props.data;
  server.feature(live.subscription.id, "updated", point("b", 5));
  await until(() => live.props.data !== before);
  const { data, _dataDiff } = live.props;
  assert.deepEqual(
    data.map(({ id }) => id),
    ["a", "b", "c"],
  );
  assert.ok(data[0] === before[0] && data[2] === before[2]);
  assert.deepEqual(_dataDiff(data, before), [{ startRow: 1, endRow: 2 }]);
  assert.equal(given.at(-1), live.props);
});

test("deck.gl: the last feature takes the place of one that goes", async () => {
  const live = deckgl.liveFeatures(client, "vehicles");
  await filled(live.subscription);
  server.feature(live.subscription.id, "added", point("c", 3));
  await until(() => live.props.data.length === 3);
  const before = live.props.data;
  server.feature(live.subscription.id, "deleted", point("a", 1));
  await until(() => live.props.data.length === 2);
  const { data, _dataDiff } = live.props;
  assert.deepEqual(
    data.map(({ id }) => id),
    ["c", "b"],
  );
  assert.deepEqual(_dataDiff(data, before), [{ startRow: 0, endRow: 1 }, { startRow: 2 }]);
  server.feature(live.subscription.id, "deleted", point("b", 2));
  await until(() => live.props.data.length === 1);
  assert.equal(live.props.data[0].id, "c");
});

test("deck.gl: rows that are near each other are one range", () => {
  const before = Array.from({ length: 100 }, (_, id) => point(id, 0));
  const now = before.with(3, point(3, 1)).with(9, point(9, 1)).with(60, point(60, 1));
  assert.deepEqual(deckgl.changedRows(now, before), [
    { startRow: 3, endRow: 10 },
    { startRow: 60, endRow: 61 },
  ]);
});

test("deck.gl: the view is the box of the subscription", async () => {
  let bounds = [0, 0, 10, 10];
  const viewport = () => ({ getBounds: () => bounds, zoom: 4 });
  const live = deckgl.liveFeatures(client, "vehicles", { viewport, padding: 0, debounce: 1 });
  assert.deepEqual((await server.next("subscribe_features")).bbox, [0, 0, 10, 10]);
  bounds = [20, 0, 30, 10];
  live.moved();
  assert.deepEqual((await server.next("update_subscription")).bbox, [20, 0, 30, 10]);
});
