/** One line or polygon feature as a path that scales with the map, and the test whether a point is on it. */
import { toLatitude, toX, toY } from "./mercator.js";

/** Paths are kept in single precision: relative to their own corner and enlarged, they stay exact at every zoom. */
const UNIT = 1 << 20;
/** Of what a polygon encloses. */
const OPACITY = 0.16;

function partsOf({ type, coordinates, geometries }) {
  switch (type) {
    case "Point":
      return [{ closed: false, ring: [coordinates, coordinates] }];
    case "MultiPoint":
      return coordinates.map((position) => ({ closed: false, ring: [position, position] }));
    case "LineString":
      return [{ closed: false, ring: coordinates }];
    case "MultiLineString":
      return coordinates.map((ring) => ({ closed: false, ring }));
    case "Polygon":
      return coordinates.map((ring) => ({ closed: true, ring }));
    case "MultiPolygon":
      return coordinates.flat().map((ring) => ({ closed: true, ring }));
    case "GeometryCollection":
      return geometries.flatMap(partsOf);
    default:
      return [];
  }
}

export class Shape {
  /** @param {import("./symbols.js").Symbols} symbols how it is drawn */
  constructor(key, feature, symbols) {
    this.key = key;
    this.feature = feature;
    this.restyle(symbols);
    this.parts = partsOf(feature.geometry).map(({ closed, ring }) => ({ closed, points: ring.map(([lon, lat]) => [toX(lon), toY(lat)]) }));
    this.filled = this.parts.some(({ closed }) => closed);
    this.#measure();
    this.#draw();
  }

  /** Draw it in another way. @param {import("./symbols.js").Symbols} symbols @returns {boolean} whether it has another colour */
  restyle(symbols) {
    const before = this.step;
    this.step = symbols.stepOf(this.feature);
    return this.step !== before;
  }

  #measure() {
    const points = this.parts.flatMap(({ points }) => points);
    this.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of points) {
      this.box = [Math.min(this.box[0], x), Math.min(this.box[1], y), Math.max(this.box[2], x), Math.max(this.box[3], y)];
    }
  }

  #draw() {
    const [left, top] = this.box;
    this.path = new Path2D();
    for (const { closed, points } of this.parts) {
      points.forEach(([x, y], place) => this.path[place ? "lineTo" : "moveTo"]((x - left) * UNIT, (y - top) * UNIT));
      if (closed) this.path.closePath();
    }
  }

  /** Two corners of its box: latitude and longitude. @returns {[number, number][]} */
  get corners() {
    const [left, top, right, bottom] = this.box;
    return Number.isFinite(left) ? [left, right].map((x, at) => [toLatitude([top, bottom][at]), x * 360 - 180]) : [];
  }

  /** @param {{size: number, left: number, top: number, width: number, height: number, ratio: number}} view */
  paint(context, view, colour, opacity = OPACITY) {
    const [left, top, right, bottom] = this.box;
    const scale = view.size / UNIT;
    const y = top * view.size - view.top;
    if (y > view.height || bottom * view.size - view.top < 0) return;
    const first = left * view.size - view.left;
    for (let turn = -1; turn <= 1; turn += 1) {
      const x = first + turn * view.size;
      if (x > view.width || x + (right - left) * view.size < 0) continue;
      context.setTransform(view.ratio * scale, 0, 0, view.ratio * scale, view.ratio * x, view.ratio * y);
      this.#stroke(context, colour, scale, opacity);
    }
  }

  #stroke(context, colour, scale, opacity) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = (this.filled ? 1.4 : 2.4) / scale;
    context.lineCap = context.lineJoin = "round";
    if (this.filled) {
      context.globalAlpha = opacity;
      context.fill(this.path, "evenodd");
      context.globalAlpha = 1;
    }
    context.stroke(this.path);
  }

  /** Whether this place (fractions of the world) is inside, or within `reach` of a line. */
  contains(x, y, reach) {
    const [left, top, right, bottom] = this.box;
    if (x < left - reach || x > right + reach || y < top - reach || y > bottom + reach) return false;
    let inside = false;
    for (const { closed, points } of this.parts) {
      if (closed && crossesOdd(points, x, y)) inside = !inside;
      if (!closed && points.some((point, place) => place > 0 && distance(points[place - 1], point, x, y) < reach)) return true;
    }
    return inside;
  }
}

function crossesOdd(points, x, y) {
  let odd = false;
  for (let place = 0, before = points.length - 1; place < points.length; before = place++) {
    const [[ax, ay], [bx, by]] = [points[place], points[before]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

function distance([ax, ay], [bx, by], x, y) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
  return Math.hypot(ax + along * (bx - ax) - x, ay + along * (by - ay) - y);
}
