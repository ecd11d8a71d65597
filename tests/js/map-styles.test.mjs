/** Styles: which colour, size, icon, direction and label a feature has, and what a layer without a style looks like. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STEPS } from "../../streaming/static/streaming/map/colour-scale.js";
import { NO_VALUE } from "../../streaming/static/streaming/style/palettes.js";
import { placeAmong, valueOf } from "../../streaming/static/streaming/style/values.js";
import { Symbols } from "../../streaming/static/streaming/map/symbols.js";
import { LayerScene } from "../../streaming/static/streaming/map/layer-scene.js";

const feature = (properties, coordinates = [8, 47]) => ({ type: "Feature", id: 1, geometry: { type: "Point", coordinates }, properties });
const symbolsOf = (style, context = {}) =>
  new Symbols({ version: 1, ...style }, { theme: "dark", plain: "#2dd4bf", domain: [0, 1], timeProperty: null, ...context });
const colourOf = (symbols, properties) => symbols.scale.colours[symbols.stepOf(feature(properties))];
const sceneOf = (layer, ...features) => {
  const scene = new LayerScene({ name: "l", title: "L", time_property: null, ...layer }, "dark");
  scene.apply(
    features.map((each, id) => ({ type: "added", id, feature: { ...each, id } })),
    0,
    false,
  );
  return scene;
};

test("without a color a layer has its plain colour", () => {
  assert.equal(colourOf(symbolsOf({}), {}), "#2dd4bf");
  assert.equal(colourOf(symbolsOf({ color: "#ff0000" }), {}), "#ff0000");
});

test("a colour is interpolated between stops, however far apart they are", () => {
  const stops = [
    [0, "#000000"],
    [1, "#ff0000"],
    [1000, "#ffffff"],
  ];
  const symbols = symbolsOf({ color: { property: "x", type: "interpolate", stops } });
  assert.equal(colourOf(symbols, { x: -5 }), "rgb(0,0,0)");
  assert.equal(colourOf(symbols, { x: 1000 }), "rgb(255,255,255)");
  assert.match(colourOf(symbols, { x: 1 }), /^rgb\(25\d,\d+,\d+\)$/);
  assert.match(colourOf(symbols, { x: 0.5 }), /^rgb\(1[23]\d,0,0\)$/);
});

test("what has no number has a colour of its own", () => {
  const color = { property: "x", type: "interpolate", palette: "viridis", domain: [0, 10] };
  for (const x of [undefined, null, "7", NaN]) assert.equal(colourOf(symbolsOf({ color }), { x }), NO_VALUE);
  assert.equal(colourOf(symbolsOf({ color: { ...color, default: "#123456" } }), {}), "#123456");
});

test("a step has the colour of the last stop that is not beyond the value", () => {
  const stops = [
    [0, "#00ff00"],
    [5, "#ffff00"],
    [7, "#ff0000"],
  ];
  const symbols = symbolsOf({ color: { property: "mag", type: "step", stops } });
  const found = [-1, 0, 4.9, 5, 6.9, 7, 99].map((mag) => colourOf(symbols, { mag }));
  assert.deepEqual(found, ["#00ff00", "#00ff00", "#00ff00", "#ffff00", "#ffff00", "#ff0000", "#ff0000"]);
});

test("categories are matched by value and type, and the others have the default", () => {
  const cases = [
    ["bus", "#ff0000"],
    [7, "#00ff00"],
    [true, "#0000ff"],
  ];
  const symbols = symbolsOf({ color: { property: "kind", type: "match", cases, default: "#888888" } });
  const found = ["bus", 7, true, "7", "true", undefined, "toString"].map((kind) => colourOf(symbols, { kind }));
  assert.deepEqual(found, ["#ff0000", "#00ff00", "#0000ff", "#888888", "#888888", "#888888", "#888888"]);
});

test("sizes lie between their stops", () => {
  const stops = [
    [0, 4],
    [4, 12],
    [8, 40],
  ];
  const symbols = symbolsOf({ size: { property: "mag", type: "interpolate", stops } });
  assert.deepEqual(
    [-1, 2, 4, 6, 9, undefined].map((mag) => symbols.sizeOf(feature({ mag }), "circle")),
    [4, 8, 12, 26, 40, 4],
  );
  assert.equal(symbols.largestOf("circle"), 40);
});

test("icons are matched, turned by a property, and labelled by another", () => {
  const icon = { property: "kind", type: "match", cases: [["bus", "car"]], default: "star" };
  const symbols = symbolsOf({ icon, rotate: { property: "heading" }, label: { property: "names.short" } });
  const bus = feature({ kind: "bus", heading: 90, names: { short: "B7" } });
  assert.deepEqual([symbols.iconOf(bus), symbols.angleOf(bus), symbols.labelOf(bus)], ["car", Math.PI / 2, "B7"]);
  const other = feature({ kind: "tram", heading: "east" });
  assert.deepEqual([symbols.iconOf(other), symbols.angleOf(other), symbols.labelOf(other)], ["star", null, ""]);
});

test("an icon is drawn whatever number its direction is", () => {
  const symbols = symbolsOf({ rotate: { property: "heading" } });
  assert.ok(Number.isFinite(symbols.angleOf(feature({ heading: 1e308 }))));
  assert.equal(symbols.angleOf(feature({ heading: -450 })), -Math.PI / 2);
});

test("a value is found by its name, else by the path to it, and never in what all objects have", () => {
  const odd = feature({ "a.b": 1, a: { b: 2, c: { d: 3 } } }, [8, 47, 12]);
  assert.deepEqual(
    ["a.b", "a.c.d", "a.x.y", "constructor", "a.constructor.name", "$z", "$id"].map((name) => valueOf(odd, name)),
    [1, 3, undefined, undefined, undefined, 12, 1],
  );
});

test("the place among stops is at an end outside of them", () => {
  assert.deepEqual(
    [-1, 0, 5, 15, 20, 21, NaN].map((value) => placeAmong(value, [0, 10, 20])),
    [0, 0, 0.5, 1.5, 2, 2, 0],
  );
});

test("a layer without a style is coloured by a measure, and has arrows with names where it has headings", () => {
  const scene = sceneOf({}, feature({ name: "A", speed: 10, heading: 90 }), feature({ name: "B", speed: 20, heading: 180 }));
  assert.deepEqual([scene.property, scene.tracks.get(0).icon, scene.tracks.get(0).label], ["speed", "arrow", "A"]);
  assert.deepEqual([...scene.tracks.values()].map(({ step }) => step), [0, STEPS - 1]);
  assert.equal(scene.tracks.get(1).angle, Math.PI);
  assert.equal(sceneOf({}, feature({ altitude: 3, callsign: "X" })).tracks.get(0).icon, "circle");
});

test("a style of the layer goes before what its features suggest, and what was chosen on the page before it", () => {
  const style = { version: 1, color: { property: "speed", type: "interpolate", palette: "viridis", domain: [0, 100] } };
  const scene = sceneOf({ style }, feature({ speed: 10, weight: 5 }), feature({ speed: 20, weight: 3 }));
  assert.deepEqual(scene.symbols.scale.stops.filter((_, place) => place % 5 === 0), [0, 100]);
  assert.deepEqual(scene.domain, [0, 1]); // nothing has been looked for
  scene.colourBy("weight");
  assert.deepEqual([scene.property, scene.domain], ["weight", [3, 5]]);
  scene.colourBy("speed");
  assert.equal(scene.style, style);
  scene.setStyle({ version: 1, color: "#ff0000" });
  scene.setLayer({ ...scene.layer, title: "Another title" });
  assert.equal(scene.colours[0], "#ff0000");
  scene.setLayer({ ...scene.layer, style: { version: 1, color: "#00ff00" } });
  assert.equal(scene.colours[0], "#00ff00");
});

test("a domain that is not given follows the values that are seen", () => {
  const scene = sceneOf({ style: { version: 1, color: { property: "altitude", type: "interpolate", palette: "spectrum" } } }, feature({ altitude: 100 }));
  assert.deepEqual(scene.domain, [100, 100]);
  assert.ok(scene.apply([{ type: "added", id: 9, feature: { ...feature({ altitude: 900 }), id: 9 } }], 0, false));
  assert.deepEqual(scene.domain, [100, 900]);
});
