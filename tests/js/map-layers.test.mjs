/** The layers of the map page: what is asked for of them, and their colours, whatever they are called and whatever an address asks for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LayerColours } from "../../streaming/static/streaming/map/layer-colours.js";
import { LargeLayers } from "../../streaming/static/streaming/map/large-layers.js";
import { Live } from "../../streaming/static/streaming/map/live.js";
import { PLAIN_COLOURS } from "../../streaming/static/streaming/map/palette.js";

/** A client that refuses what has one of these conditions, once it was asked. */
class RefusingClient {
  asked = [];

  constructor(refusals) {
    this.refusals = refusals;
  }

  subscribeFeatures(layer, conditions) {
    const subscription = Object.assign(new EventTarget(), { layer, conditions, features: new Map(), closed: false });
    this.asked.push(conditions);
    if (this.asked.length > 20) throw new Error("asked for ever");
    queueMicrotask(() => {
      const code = Object.entries(this.refusals).find(([name]) => conditions[name] != null)?.[1];
      if (!code) return;
      subscription.closed = true;
      subscription.dispatchEvent(new CustomEvent("error", { detail: { code, message: "refused" } }));
    });
    return subscription;
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("an area that the server refuses is given up, and the filter kept", async () => {
  const client = new RefusingClient({ bbox: "invalid_bbox" });
  const live = new Live(client, { bbox: [1, 2, -999, 9999], geometry: null, filter: "mag > 5" });
  for (const name of ["flights", "earthquakes"]) live.switchOn(name);
  await settled();
  assert.deepEqual(
    client.asked.map(({ bbox, filter }) => [bbox !== null, filter]),
    [true, true, false, false].map((hasBox) => [hasBox, "mag > 5"]),
  );
  assert.deepEqual(Object.keys(live.subscriptions), ["flights", "earthquakes"]);
});

test("what is refused whatever is asked for is not asked for again", async () => {
  const client = new RefusingClient({ batch: "invalid_bbox" });
  const live = new Live(client, { bbox: null, geometry: null, filter: null });
  live.switchOn("flights");
  await settled();
  assert.deepEqual([client.asked.length, Object.keys(live.subscriptions)], [1, []]);
});

test("a layer may be called as a property of all objects is", () => {
  const stored = new Map([["geostream-colours", '{"valueOf": 3, "odd": "red"}']]);
  globalThis.localStorage = { getItem: (name) => stored.get(name) ?? null, setItem: (name, value) => stored.set(name, value) };
  const colours = new LayerColours();
  const given = ["constructor", "toString", "odd"].map((name) => colours.of(name));
  assert.ok(given.every((colour) => Number.isInteger(colour) && colour >= 0 && colour < PLAIN_COLOURS));
  assert.equal(colours.of("valueOf"), 3);
  assert.deepEqual(Object.keys(JSON.parse(stored.get("geostream-colours"))).sort(), ["constructor", "odd", "toString", "valueOf"]);
  assert.equal(new Live(null, {}).subscriptions.constructor, undefined);
});

/** A layer of which there are too many cells, on a map that looks where one says. */
function largeLayer(zoom) {
  const view = { bbox: [0, -1, 2, 1], zoom };
  const asked = [];
  const narrow = (name, { aggregate }) => asked.push(aggregate && Math.round(aggregate.zoom * 100) / 100);
  const live = Object.assign(new EventTarget(), { subscriptions: { million: { features: new Map() } }, narrow });
  const large = new LargeLayers(live, 5000, () => view);
  large.add("million");
  const refuse = (zoom) => large.refused("million", { code: "too_many_cells", conditions: { aggregate: { zoom } } });
  const look = (zoom) => large.follow(Object.assign(view, { zoom }));
  return { asked, look, refuse, large, live };
}

test("where there would be too many cells, larger ones are asked for, and finer ones not again", () => {
  const { asked, look, refuse } = largeLayer(7);
  assert.equal(refuse(7), true);
  look(9);
  look(4);
  assert.deepEqual(asked, [7, 5.59, 5.59, 4]);
});

test("a refusal of what was asked for before says nothing more", () => {
  const { asked, look, refuse } = largeLayer(7);
  look(7);
  look(7);
  refuse(7);
  refuse(7);
  refuse(7);
  assert.deepEqual(asked, [7, 7, 7, 5.59]);
});

test("a layer that ended with a refusal of what was asked for before is switched on again", () => {
  const { refuse, large, live } = largeLayer(7);
  refuse(7);
  live.subscriptions = {};
  let switchedOn = 0;
  live.switchOn = () => (switchedOn += 1);
  refuse(7);
  assert.equal(switchedOn, 1);
  assert.equal(large.showsCells("million"), true);
});

test("who has zoomed out meanwhile sees cells for that", () => {
  const { asked, look, refuse } = largeLayer(14);
  look(1);
  refuse(14);
  assert.deepEqual(asked, [14, 1, 1]);
});

test("far zoomed in, what is in view is asked for after three refusals", () => {
  const { asked, refuse, large } = largeLayer(18);
  for (const zoom of [18, 16.59, 13.77]) refuse(zoom + 0.001);
  assert.equal(large.showsCells("million"), false);
  assert.equal(asked.at(-1), null);
  assert.equal(refuse(18), true);
});

test("where the server makes no cells at all, what is in view is asked for", () => {
  const { asked, large } = largeLayer(3);
  assert.equal(large.refused("million", { code: "too_many_aggregates" }), true);
  assert.deepEqual(asked, [3, null]);
  assert.equal(large.refused("million", { code: "too_many_aggregates" }), false);
});
