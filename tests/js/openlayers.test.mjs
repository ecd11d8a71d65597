import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import Feature from "ol-10/Feature.js";
import View from "ol-10/View.js";
import GeoJSON from "ol-10/format/GeoJSON.js";
import { fromLonLat } from "ol-10/proj.js";
import VectorSource from "ol-10/source/Vector.js";
import WebSocket from "ws";

import { OpenLayersTiles } from "../../streaming/static/streaming/adapters/openlayers-tiles.js";
import { liveFeatures } from "../../streaming/static/streaming/adapters/openlayers.js";
import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, point, until } from "./fake-server.mjs";

const [LOADING, LOADED] = [1, 2];
const format = new GeoJSON();
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

/** A source that holds "a" (x = 1) and "b" (x = 2). */
async function filled(options = {}) {
  const source = new VectorSource();
  const live = liveFeatures(source, client, "vehicles", { format, ...options });
  const request = await server.next("subscribe_features");
  server.ack(live.subscription.id, { cursor: "e:2", snapshot_count: 2 });
  server.feature(live.subscription.id, "added", point("a", 1, { kind: "bus", line: 4 }));
  server.feature(live.subscription.id, "added", point("b", 2), { cursor: "e:2" });
  await until(() => source.getFeatures().length === 2);
  return { source, live, request };
}

const place = (feature) => feature.getGeometry().getCoordinates();

test("features are in the projection of the map", async () => {
  const { source } = await filled();
  assert.deepEqual(place(source.getFeatureById("a")), fromLonLat([1, 0]));
  const degrees = await filled({ projection: "EPSG:4326" });
  assert.deepEqual(place(degrees.source.getFeatureById("a")), [1, 0]);
});

test("a feature that changes stays the same object, with what others have set on it", async () => {
  const { source, live } = await filled();
  const feature = source.getFeatureById("a");
  feature.set("chosen", true);
  server.feature(live.subscription.id, "updated", point("a", 3, { kind: "tram" }));
  await until(() => feature.get("kind") === "tram");
  assert.equal(source.getFeatureById("a"), feature);
  assert.deepEqual([place(feature), feature.get("line"), feature.get("chosen")], [fromLonLat([3, 0]), undefined, true]);
  assert.deepEqual(source.getFeaturesAtCoordinate(fromLonLat([3, 0])), [feature]);
});

test("a feature that is deleted leaves the source, and removing takes the others", async () => {
  const { source, live } = await filled();
  const own = new Feature();
  source.addFeature(own);
  server.feature(live.subscription.id, "deleted", point("a", 1));
  await until(() => !source.getFeatureById("a"));
  live.remove();
  assert.deepEqual(source.getFeatures(), [own]);
  assert.equal((await server.next("unsubscribe")).subscription_id, live.subscription.id);
});

/** A map whose view is `center`, in degrees, and what listens to it. */
function mapAt(view) {
  const listeners = new Set();
  return { getView: () => view, getAllLayers: () => [], on: (_, listener) => listeners.add(listener), un: (_, it) => listeners.delete(it), listeners };
}

test("the view is the box of the subscription, in degrees, and cells are those of its zoom", async () => {
  const view = new View({ center: fromLonLat([180, 47]), zoom: 6 });
  view.setViewportSize([256, 256]);
  const map = mapAt(view);
  const { request, live } = await filled({ map, padding: 0, debounce: 1, aggregate: { by: "h3" } });
  const [west, south, east, north] = request.bbox;
  assert.ok(Math.abs(west - 177.1875) < 1e-6 && Math.abs(east + 177.1875) < 1e-6 && south < 47 && north > 47, String(request.bbox));
  assert.deepEqual(request.aggregate, { by: "h3", zoom: 6 });
  view.setCenter(fromLonLat([8, 47]));
  for (const listener of map.listeners) listener();
  const moved = await server.next("update_subscription");
  assert.ok(Math.abs(moved.bbox[0] - 5.1875) < 1e-6, String(moved.bbox));
  live.remove();
  assert.equal(map.listeners.size, 0);
});

/** A source of images whose tiles are loaded by tests, and what is fetched of it. */
function imagery() {
  let load = (tile) => (tile.state = LOADING);
  const source = { getTileLoadFunction: () => load, setTileLoadFunction: (given) => (load = given) };
  const shown = { bbox: [0, 0, 90, 80], zoom_range: { start: 3, end: 5 } };
  const fetched = [];
  const answers = [];
  const fetch = (url) => {
    fetched.push(url);
    return new Promise((resolve) => answers.push(() => resolve(new Response("{}"))));
  };
  const tiles = new OpenLayersTiles(
    source,
    fetch,
    () => shown,
    () => {},
  );
  const loadTile = (z, x, y) => {
    const tile = { tileCoord: [z, x, y], state: LOADED, shown: 0, getState: () => tile.state };
    tile.getFormat = () => ({ readFeatures: () => [] });
    tile.setFeatures = () => (tile.shown += 1);
    load(tile, `/tiles/t/${z}/${x}/${y}.mvt`);
    tile.state = LOADED;
    return tile;
  };
  return { tiles, shown, fetched, answers, loadTile };
}

test("a tile that has changed is fetched again, and shown", async () => {
  const { tiles, fetched, answers, loadTile } = imagery();
  const [tile, other] = [loadTile(4, 8, 5), loadTile(4, 9, 5)];
  tiles.renew(({ x }) => x === 8, "v2");
  assert.deepEqual(fetched, ["/tiles/t/4/8/5.mvt?version=v2"]);
  answers[0]();
  await until(() => tile.shown === 1);
  assert.equal(other.shown, 0);
});

test("a tile out of sight is fetched again when it comes into it", () => {
  const { tiles, shown, fetched, loadTile } = imagery();
  const tile = loadTile(4, 0, 5);
  tiles.renew(() => true);
  assert.deepEqual(fetched, []);
  shown.bbox = [-180, 0, -90, 80];
  tiles.fetchStale();
  assert.deepEqual(fetched, ["/tiles/t/4/0/5.mvt"]);
  assert.ok(tile);
});

test("a tile that changes while it comes is fetched once more", async () => {
  const { tiles, fetched, answers, loadTile } = imagery();
  const tile = loadTile(4, 8, 5);
  for (const version of ["v2", "v3", "v4"]) tiles.renew(() => true, version);
  answers[0]();
  await until(() => fetched.length === 2);
  assert.deepEqual(fetched[1], "/tiles/t/4/8/5.mvt?version=v4");
  answers[1]();
  await until(() => tile.shown === 2);
});

test("a tile that OpenLayers is loading is fetched again after that", () => {
  const { tiles, fetched, loadTile } = imagery();
  const tile = loadTile(4, 8, 5);
  tile.state = LOADING;
  tiles.renew(() => true);
  assert.deepEqual(fetched, []);
  tile.state = LOADED;
  tiles.fetchStale();
  assert.equal(fetched.length, 1);
});

test("a tile of the world beside the first is the same", () => {
  const { tiles, loadTile } = imagery();
  const tile = loadTile(4, 8 + 16, 5);
  const seen = [];
  tiles.renew((each) => seen.push(each));
  assert.deepEqual(seen, [{ z: 4, x: 8, y: 5 }]);
  assert.ok(tile);
});
