/** The style of a layer for MapLibre: what MapLibre's own code makes of it is what the live map draws. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPropertyExpression, latest, validateStyleMin } from "@maplibre/maplibre-gl-style-spec";
import { mapLibreLayers } from "../../streaming/static/streaming/adapters/maplibre.js";
import { Symbols } from "../../streaming/static/streaming/map/symbols.js";

const STYLE = {
  version: 1,
  color: {
    property: "mag",
    type: "interpolate",
    stops: [
      [0, "#000000"],
      [10, "#ff0000"],
    ],
  },
  size: {
    property: "mag",
    type: "interpolate",
    stops: [
      [0, 4],
      [10, 24],
    ],
  },
  icon: { property: "kind", type: "match", cases: [["bus", "car"]], default: "star" },
  rotate: { property: "heading" },
  label: { property: "name", min_zoom: 8 },
};

/** What MapLibre makes of an expression for a feature with these properties. */
function evaluated(expression, group, name, properties) {
  const compiled = createPropertyExpression(expression, latest[group][name]);
  assert.equal(compiled.result, "success", JSON.stringify(compiled.value));
  return compiled.value.evaluate({ zoom: 10 }, { type: "Point", properties, geometry: [] });
}

const rgb = ({ r, g, b }) => [r, g, b].map((part) => Math.round(part * 255));
const colour = (color, properties, options) => rgb(evaluated(mapLibreLayers({ version: 1, color }, options).circle.paint["circle-color"], "paint_circle", "circle-color", properties));

test("MapLibre takes every layer that is made", () => {
  for (const style of [STYLE, { version: 1 }, { version: 1, label: { property: "$id" } }, { version: 1, rotate: { property: "a.b" } }]) {
    const layers = Object.entries(mapLibreLayers(style)).map(([type, layer]) => ({ id: type, type, source: "s", ...layer }));
    const sources = { s: { type: "geojson", data: { type: "FeatureCollection", features: [] } } };
    assert.deepEqual(validateStyleMin({ version: 8, glyphs: "https://example.org/{fontstack}/{range}.pbf", sprite: "https://example.org/sprite", sources, layers }), []);
  }
});

test("numbers, and what is none, have the colours and sizes that the live map draws", () => {
  const symbols = new Symbols(STYLE, { theme: "light", plain: "#0d9488", domain: [0, 1], timeProperty: null });
  const { circle } = mapLibreLayers(STYLE);
  for (const mag of [-1, 0, 5, 10, 11, undefined, "5"]) {
    const size = 2 * evaluated(circle.paint["circle-radius"], "paint_circle", "circle-radius", { mag });
    assert.equal(size, symbols.sizeOf({ properties: { mag } }, "circle"));
  }
  assert.deepEqual(colour(STYLE.color, { mag: 5 }), [128, 0, 0]);
  assert.deepEqual(colour(STYLE.color, {}), [0x8a, 0x94, 0xa6]);
});

test("a palette is spread over its domain, else over the one that is handed in", () => {
  const color = { property: "x", type: "interpolate", palette: "viridis" };
  assert.deepEqual(colour({ ...color, domain: [0, 10] }, { x: 10 }, { theme: "dark" }), [0xfd, 0xe7, 0x25]);
  assert.deepEqual(colour(color, { x: 100 }, { theme: "dark", domain: [0, 100] }), [0xfd, 0xe7, 0x25]);
  assert.deepEqual(colour(color, { x: 0 }, { theme: "light", domain: [0, 100] }), [0x44, 0x01, 0x54]);
});

test("steps and cases are those of the live map", () => {
  const stops = [
    [0, "#00ff00"],
    [5, "#ff0000"],
  ];
  const step = { property: "mag", type: "step", stops };
  assert.deepEqual([-1, 4.9, 5].map((mag) => colour(step, { mag })[0]), [0, 0, 255]);
  const cases = [
    ["bus", "#ff0000"],
    [7, "#00ff00"],
    [true, "#0000ff"],
  ];
  const match = { property: "kind", type: "match", cases, default: "#888888" };
  const found = ["bus", 7, true, "7", null].map((kind) => colour(match, { kind }));
  assert.deepEqual(found, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0x88, 0x88, 0x88], [0x88, 0x88, 0x88]]);
});

test("icons, directions and labels are layouts of symbols, from the zoom on that the style names", () => {
  const { layout } = mapLibreLayers(STYLE).symbol;
  assert.equal(String(evaluated(layout["icon-image"], "layout_symbol", "icon-image", { kind: "bus" })), "car");
  assert.equal(evaluated(layout["icon-rotate"], "layout_symbol", "icon-rotate", { heading: 90 }), 90);
  assert.equal(evaluated(layout["icon-rotate"], "layout_symbol", "icon-rotate", {}), 0);
  assert.equal(String(evaluated(layout["text-field"], "layout_symbol", "text-field", { name: "A7" })), "A7");
  assert.equal(mapLibreLayers({ version: 1, label: { property: "name", min_zoom: 8 } }).symbol.minzoom, 7);
});
