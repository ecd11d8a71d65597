/**
 * Pre-drawn glyphs: a sheet with one sprite per colour and direction, so that a feature costs one unrotated, unscaled `drawImage`.
 * That is what keeps thousands of moving features cheap, also where no graphics card helps.
 */
import { STEPS } from "./palette.js";

/** Into how many directions the circle is cut (5.6 degrees each: finer than the eye can tell at this size). */
const DIRECTIONS = 64;
const FULL_TURN = 2 * Math.PI;

/** An aircraft from above and an arrow, right halves, in boxes from -1 to 1, pointing north. */
const OUTLINES = {
  aircraft: [
    [0, -0.92],
    [0.1, -0.72],
    [0.13, -0.3],
    [0.92, 0.2],
    [0.92, 0.4],
    [0.13, 0.16],
    [0.1, 0.6],
    [0.38, 0.82],
    [0.38, 0.95],
    [0, 0.84],
  ],
  arrow: [
    [0, -0.85],
    [0.62, 0.72],
    [0, 0.4],
  ],
};
const RADIUS = { aircraft: 11.5, arrow: 9 };
const EDGE = 1.5;

function outline(kind, size) {
  const right = OUTLINES[kind].map(([x, y]) => [x * size, y * size]);
  const left = right.map(([x, y]) => [-x, y]).reverse();
  const path = new Path2D();
  for (const [x, y] of [...right, ...left]) path.lineTo(x, y);
  path.closePath();
  return path;
}

export class SpriteSheet {
  /** @param {"aircraft" | "arrow"} kind @param {string[]} colours @param {string} edge @param {number} scale device pixels per unit */
  constructor(kind, colours, edge, scale) {
    const radius = RADIUS[kind] * scale;
    this.side = 2 * Math.ceil(radius * 1.1 + EDGE * scale);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.side * STEPS;
    this.canvas.height = this.side * DIRECTIONS;
    const context = this.canvas.getContext("2d");
    Object.assign(context, { lineJoin: "round", lineWidth: 2 * EDGE * scale, strokeStyle: edge });
    const path = outline(kind, radius);
    for (let direction = 0; direction < DIRECTIONS; direction += 1) this.#row(context, path, colours, direction);
  }

  #row(context, path, colours, direction) {
    const angle = (direction / DIRECTIONS) * FULL_TURN;
    const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
    colours.forEach((colour, step) => {
      context.setTransform(cosine, sine, -sine, cosine, (step + 0.5) * this.side, (direction + 0.5) * this.side);
      context.stroke(path);
      context.fillStyle = colour;
      context.fill(path);
    });
  }

  /** Draw with the middle at (x, y), in device pixels. */
  draw(context, step, angle, x, y) {
    const { canvas, side } = this;
    const direction = ((Math.round((angle / FULL_TURN) * DIRECTIONS) % DIRECTIONS) + DIRECTIONS) % DIRECTIONS;
    context.drawImage(canvas, step * side, direction * side, side, side, x - side / 2, y - side / 2, side, side);
  }
}
