/**
 * Draws a vector tile, or a part of one, on a canvas: areas below, lines above them, points on top, each layer of the tile in a colour of its
 * own. What a tile holds beyond its edge is drawn by its neighbours too, so that the halves of a circle meet.
 */
import Pbf from "../vendor/pbf/index.js";
import { VectorTile } from "../vendor/vector-tile/index.js";

const FULL_TURN = 2 * Math.PI;
/** In pixels of the page. */
const RADIUS = 3.5;
const RIM = 1;
const KINDS = { point: 1, line: 2, area: 3 };

/**
 * @typedef {object} Look
 * @property {(layer: string) => string} colourOf
 * @property {string} rim around points
 *
 * @typedef {object} Square what the canvas shows of the tile
 * @property {number} side of the canvas, in its pixels
 * @property {number} ratio how many of them a pixel of the page has
 * @property {{x: number, y: number, scale: number}} part column and row among `scale` x `scale` parts of the tile
 */

/** The layers of a tile with something in them. @param {Uint8Array} bytes @returns {import("../vendor/vector-tile/index.js").VectorTileLayer[]} */
export function layersOf(bytes) {
  return Object.values(new VectorTile(new Pbf(bytes)).layers);
}

/** On a canvas that is empty. @param {CanvasRenderingContext2D} context @param {Look} look @param {Square} square */
export function paintLayers(context, layers, look, square) {
  const drawings = layers.map((layer) => ({ colour: look.colourOf(layer.name), shapes: shapesOf(layer, square) }));
  Object.assign(context, { lineJoin: "round", lineCap: "round" });
  for (const { colour, shapes } of drawings) paintAreas(context, shapes[KINDS.area], colour, square.ratio);
  for (const { colour, shapes } of drawings) paintLines(context, shapes[KINDS.line], colour, square.ratio);
  for (const { colour, shapes } of drawings) paintPoints(context, shapes[KINDS.point], colour, look.rim, square);
}

/** The rings, lines and points of a layer by kind, in pixels of the canvas. */
function shapesOf(layer, { side, part }) {
  const scale = (side * part.scale) / layer.extent;
  const placed = ({ x, y }) => [x * scale - part.x * side, y * scale - part.y * side];
  const shapes = [[], [], [], []];
  for (let place = 0; place < layer.length; place += 1) {
    const feature = layer.feature(place);
    for (const points of feature.loadGeometry()) shapes[feature.type].push(points.map(placed));
  }
  return shapes;
}

function trace(context, shapes) {
  context.beginPath();
  for (const shape of shapes) shape.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
}

/** Holes run the other way round than what they are in, and so stay empty. */
function paintAreas(context, rings, colour, ratio) {
  if (rings.length === 0) return;
  trace(context, rings);
  Object.assign(context, { fillStyle: colour, strokeStyle: colour, lineWidth: 1.25 * ratio, globalAlpha: 0.22 });
  context.fill();
  context.globalAlpha = 0.9;
  context.stroke();
  context.globalAlpha = 1;
}

function paintLines(context, lines, colour, ratio) {
  if (lines.length === 0) return;
  trace(context, lines);
  Object.assign(context, { strokeStyle: colour, lineWidth: 1.75 * ratio });
  context.stroke();
}

function paintPoints(context, points, colour, rim, { side, ratio }) {
  const reach = (RADIUS + RIM) * ratio;
  const visible = points.filter(([[x, y]]) => Math.min(x, y) > -reach && Math.max(x, y) < side + reach);
  Object.assign(context, { fillStyle: colour, strokeStyle: rim, lineWidth: RIM * ratio });
  for (const [[x, y]] of visible) {
    context.beginPath();
    context.arc(x, y, RADIUS * ratio, 0, FULL_TURN);
    context.fill();
    context.stroke();
  }
}
