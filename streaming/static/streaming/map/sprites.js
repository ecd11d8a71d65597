/** Pre-drawn glyphs: one row of STEPS coloured sprites per shape, so that a feature costs one `drawImage`. All point north. */
import { STEPS } from "./palette.js";

/** Side of one sprite in CSS pixels. */
export const SPRITE = 32;

/** An aircraft from above, in a box from -1 to 1. */
const AIRCRAFT = [
  [0, -0.92], [0.1, -0.72], [0.13, -0.3], [0.92, 0.2], [0.92, 0.4], [0.13, 0.16], [0.1, 0.6], [0.38, 0.82], [0.38, 0.95], [0, 0.84],
];
const ARROW = [[0, -0.85], [0.62, 0.72], [0, 0.4]];

function outline(points) {
  const mirrored = points.slice(0).reverse().map(([x, y]) => [-x, y]);
  return [...points, ...mirrored];
}

function trace(context, points, size) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x * size, y * size);
  context.closePath();
}

/** @param {"aircraft" | "arrow"} kind @param {string[]} colours @returns {HTMLCanvasElement} */
export function makeAtlas(kind, colours, edge, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = SPRITE * STEPS * ratio;
  canvas.height = SPRITE * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const points = outline(kind === "aircraft" ? AIRCRAFT : ARROW);
  colours.forEach((colour, step) => {
    context.setTransform(ratio, 0, 0, ratio, (step + 0.5) * SPRITE * ratio, (SPRITE / 2) * ratio);
    trace(context, points, kind === "aircraft" ? 11.5 : 9);
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = edge;
    context.stroke();
    context.fillStyle = colour;
    context.fill();
  });
  return canvas;
}
