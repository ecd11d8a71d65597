import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import Pbf from "pbf";

import { inView } from "../../streaming/static/streaming/client/tile-view.js";
import { tileFor, viewOf } from "../../streaming/static/streaming/map/tile-range.js";
import { layersOf, paintLayers } from "../../streaming/static/streaming/map/vector-painter.js";
import { vendored } from "./vendor.mjs";

const EXTENT = 4096;
const [POINT, LINE, AREA] = [1, 2, 3];
const WHOLE = { side: 512, ratio: 1, part: { x: 0, y: 0, scale: 1 } };
const LOOK = { colourOf: (name) => `colour of ${name}`, rim: "rim" };

const zigzag = (value) => (value << 1) ^ (value >> 31);

/** The commands for paths of [x, y]: one number each for "move" (1), "line" (2) and "close" (7), and how often. */
function commands(kind, paths) {
  let [left, top] = [0, 0];
  const step = ([x, y]) => {
    const numbers = [zigzag(x - left), zigzag(y - top)];
    [left, top] = [x, y];
    return numbers;
  };
  if (kind === POINT) return [1 | (paths.length << 3), ...paths.flatMap(step)];
  return paths.flatMap(([first, ...rest]) => [
    9,
    ...step(first),
    2 | (rest.length << 3),
    ...rest.flatMap(step),
    ...(kind === AREA ? [15] : []),
  ]);
}

/** @param {Record<string, [number, number[][][]][]>} layers the kind and the paths of each feature; of points the places */
function encode(layers) {
  const pbf = new Pbf();
  const writeFeature = ([kind, paths], into) => {
    into.writeVarintField(3, kind);
    into.writePackedVarint(4, commands(kind, paths));
  };
  const writeLayer = ([name, features], into) => {
    into.writeVarintField(15, 2);
    into.writeStringField(1, name);
    for (const feature of features) into.writeMessage(2, writeFeature, feature);
    into.writeVarintField(5, EXTENT);
  };
  for (const layer of Object.entries(layers)) pbf.writeMessage(3, writeLayer, layer);
  return pbf.finish();
}

/** A context that remembers what was traced when something was filled or stroked, and how it was to look. */
class Recorder {
  drawn = [];
  #path = [];

  beginPath = () => (this.#path = []);
  moveTo = (x, y) => this.#path.push(["move", x, y]);
  lineTo = (x, y) => this.#path.push(["line", x, y]);
  arc = (x, y, radius) => this.#path.push(["circle", x, y, radius]);
  fill = () => this.drawn.push({ how: "fill", colour: this.fillStyle, path: this.#path });
  stroke = () => this.drawn.push({ how: "stroke", colour: this.strokeStyle, width: this.lineWidth, path: this.#path });
}

function painted(layers, square = WHOLE) {
  const recorder = new Recorder();
  paintLayers(recorder, layersOf(encode(layers)), LOOK, square);
  return recorder.drawn;
}

const circles = (drawn) => drawn.filter(({ how }) => how === "fill").flatMap(({ path }) => path.map(([, ...circle]) => circle));

test("a point is a circle at its place on the canvas, with a rim", () => {
  const [fill, stroke, ...more] = painted({ places: [[POINT, [[1024, 2048]]]] });
  assert.deepEqual([fill.colour, fill.path], ["colour of places", [["circle", 128, 256, 3.5]]]);
  assert.deepEqual([stroke.colour, stroke.path, more], ["rim", fill.path, []]);
});

test("each of several points is drawn, also just beyond the edge, but none that cannot be seen", () => {
  const places = [
    [0, 0],
    [-24, 4000],
    [-80, 4000],
    [4130, 100],
    [4176, 100],
  ];
  assert.deepEqual(
    circles(painted({ places: [[POINT, places]] })).map(([x, y]) => [x, y]),
    [
      [0, 0],
      [-3, 500],
      [516.25, 12.5],
    ],
  );
});

test("a canvas with more pixels has the same picture, finer", () => {
  const [fill, stroke] = painted({ places: [[POINT, [[1024, 2048]]]] }, { ...WHOLE, side: 1024, ratio: 2 });
  assert.deepEqual(fill.path, [["circle", 256, 512, 7]]);
  assert.equal(stroke.width, 2);
});

test("an area is filled and outlined, and its hole is a ring of the same path that runs the other way", () => {
  const rings = [
    [
      [0, 0],
      [2048, 0],
      [2048, 2048],
      [0, 2048],
    ],
    [
      [512, 512],
      [512, 1024],
      [1024, 1024],
      [1024, 512],
    ],
  ];
  const [fill, outline, ...more] = painted({ land: [[AREA, rings]] });
  assert.deepEqual([fill.how, outline.how, more], ["fill", "stroke", []]);
  assert.equal(outline.path, fill.path);
  assert.deepEqual(fill.path.slice(0, 5), [
    ["move", 0, 0],
    ["line", 256, 0],
    ["line", 256, 256],
    ["line", 0, 256],
    ["line", 0, 0],
  ]);
  assert.deepEqual(fill.path.slice(5, 7), [
    ["move", 64, 64],
    ["line", 64, 128],
  ]);
});

test("points lie on lines, and lines on areas, of whatever layers", () => {
  const line = [
    [0, 0],
    [800, 800],
  ];
  const area = [
    [0, 0],
    [800, 0],
    [800, 800],
  ];
  const drawn = painted({
    a: [
      [POINT, [[9, 9]]],
      [LINE, [line]],
    ],
    b: [
      [LINE, [line]],
      [AREA, [area]],
    ],
  });
  assert.deepEqual(
    drawn.map(({ how, colour }) => `${how} ${colour}`),
    ["fill colour of b", "stroke colour of b", "stroke colour of a", "stroke colour of b", "fill colour of a", "stroke rim"],
  );
});

test("a part of a tile is shown as large as a whole one", () => {
  const places = [
    [1024 + 512, 2048 + 256],
    [0, 0],
  ];
  assert.deepEqual(circles(painted({ places: [[POINT, places]] }, { ...WHOLE, part: { x: 1, y: 2, scale: 4 } })), [[256, 128, 3.5]]);
});

test("what is no vector tile is refused", () => {
  assert.throws(() => layersOf(new TextEncoder().encode("<!doctype html><title>502 Bad Gateway</title>")));
});

test("tiles of 512 pixels are a zoom behind the map and cover the same ground", () => {
  assert.deepEqual(tileFor({ z: 6, x: 33, y: 21 }, 1, 14), { z: 5, x: 33, y: 21, part: { x: 0, y: 0, scale: 1 } });
  assert.deepEqual(tileFor({ z: 6, x: 33, y: 21 }, 0, 14), { z: 6, x: 33, y: 21, part: { x: 0, y: 0, scale: 1 } });
});

test("beyond the last zoom a square is a part of one of its tiles, also in other copies of the world", () => {
  assert.deepEqual(tileFor({ z: 6, x: 33, y: 21 }, 1, 3), { z: 3, x: 8, y: 5, part: { x: 1, y: 1, scale: 4 } });
  assert.deepEqual(tileFor({ z: 6, x: -1, y: 0 }, 1, 3), { z: 3, x: -1, y: 0, part: { x: 3, y: 0, scale: 4 } });
});

test("before the last zoom is known there is none", () => {
  assert.equal(tileFor({ z: 15, x: 1, y: 1 }, 1, Infinity).z, 14);
});

test("the view that is asked for has the tiles that its squares are of", () => {
  const corners = [
    { z: 8, x: 66, y: 40 },
    { z: 8, x: 70, y: 43 },
  ].map((square) => tileFor(square, 1, 5));
  const { bbox, zoomRange } = viewOf(corners[0].z, { min: corners[0], max: corners[1] });
  assert.deepEqual(zoomRange, { start: 5, end: 6 });
  const holds = (x, y) => inView({ bbox, zoom_range: zoomRange }, { z: 5, x, y });
  assert.deepEqual(
    [holds(16, 10), holds(17, 10), holds(15, 10), holds(18, 10), holds(16, 9), holds(16, 11)],
    [true, true, false, false, false, false],
  );
});

test("libraries as they are served are those of their packages, but for where they import from and their source maps", () => {
  const files = vendored();
  assert.equal(files.length, 19);
  for (const { name, path, content } of files) assert.ok(readFileSync(path).equals(content), `${name}: npm run vendor`);
  const original = readFileSync(new URL("../../node_modules/@mapbox/vector-tile/index.js", import.meta.url), "utf8").split("\n");
  const served = files.find(({ name }) => name === "vector-tile/index.js").content.toString().split("\n");
  assert.deepEqual(
    served.filter((line, place) => line !== original[place]),
    ["import Point from '../point-geometry/index.js';"],
  );
  assert.equal(served.length, original.length);
});
