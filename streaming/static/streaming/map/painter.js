/**
 * Draws the points of a layer on a canvas in a few passes: trails (a stroke for each colour and age), circles (grouped by colour),
 * sprites, labels. Skips what is off screen and what would lie on top of what is there; the more is visible, the less each one costs.
 */
import { STEPS } from "./palette.js";
import { SpriteSheet } from "./sprites.js";

const MARGIN = 24;
const CELL = 4;
const FADES = [0.12, 0.28, 0.5, 0.8];
/** How many trail segments a frame may have in all. */
const TRAIL_BUDGET = 5_000;
const LABELS = 70;
const PULSE = 1_600;

/** @typedef {{size: number, left: number, top: number, width: number, height: number, ratio: number, zoom: number, now: number}} View */

export class Painter {
  #sheets = new Map();
  #grid = new Uint8Array(0);
  #labelled = [];
  /** What was drawn where in the last frame: for picking. */
  drawn = [];

  constructor(colours, calm) {
    this.colours = colours;
    this.calm = calm;
  }

  setTheme(colours) {
    this.colours = colours;
    this.#sheets.clear();
  }

  /** Colours of a scene changed. */
  forget(scene) {
    this.#sheets.delete(scene);
  }

  begin(view) {
    const cells = Math.ceil(view.width / CELL + 2) * Math.ceil(view.height / CELL + 2);
    if (this.#grid.length !== cells) this.#grid = new Uint8Array(cells);
    else this.#grid.fill(0);
    this.drawn.length = 0;
    this.#labelled.length = 0;
  }

  /** @returns {boolean} whether anything will look different in the next frame */
  paint(context, scene, view) {
    const { visible, moving } = this.#place(scene, view);
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    const headed = visible.filter(({ track }) => track.angle !== null);
    const round = visible.filter(({ track }) => track.angle === null);
    if (!this.calm.matches) this.#trails(context, scene, headed, view);
    const pulsing = this.#circles(context, scene, round, view);
    this.#sprites(context, scene, headed, view);
    this.#label(context, headed, view);
    return moving || pulsing;
  }

  /** Where everything is now; what is visible and not hidden under others. */
  #place(scene, view) {
    const visible = [];
    let moving = false;
    for (const track of scene.tracks.values()) {
      if (track.moving) {
        track.advance(view.now);
        moving = true;
      }
      const y = track.y * view.size - view.top;
      if (y < -MARGIN || y > view.height + MARGIN) continue;
      let x = (track.x * view.size - view.left + MARGIN) % view.size;
      x = (x < 0 ? x + view.size : x) - MARGIN;
      for (; x < view.width + MARGIN; x += view.size) {
        if (this.#covered(x, y, view)) continue;
        const spot = { scene, track, x, y };
        visible.push(spot);
        this.drawn.push(spot);
      }
    }
    return { visible, moving };
  }

  #covered(x, y, view) {
    if (x < 0 || y < 0 || x >= view.width || y >= view.height) return false;
    const cell = Math.floor(y / CELL) * Math.ceil(view.width / CELL + 2) + Math.floor(x / CELL);
    return this.#grid[cell]++ > 1;
  }

  #trails(context, scene, spots, view) {
    const length = Math.min(14, Math.floor(TRAIL_BUDGET / Math.max(1, spots.length)));
    if (length < 2) return;
    const paths = new Map();
    for (const spot of spots) this.#traceTrail(paths, spot, length, view);
    context.lineWidth = spots.length > 800 ? 1.2 : 2;
    context.lineCap = "butt";
    for (const [key, path] of paths) {
      context.globalAlpha = FADES[key % FADES.length];
      context.strokeStyle = scene.colours[Math.floor(key / FADES.length)];
      context.stroke(path);
    }
    context.globalAlpha = 1;
  }

  #traceTrail(paths, { track, x: headX, y: headY }, length, view) {
    const first = Math.max(0, track.trailLength - length);
    const count = track.trailLength - first;
    const shift = headX - track.x * view.size;
    let path = null;
    let fade = -1;
    for (let place = first; place < track.trailLength; place += 1) {
      const x = track.trail[place * 2] * view.size + shift;
      const y = track.trail[place * 2 + 1] * view.size - view.top;
      path?.lineTo(x, y);
      const level = Math.floor(((place - first) / count) * FADES.length);
      if (level === fade) continue;
      fade = level;
      path = pathOf(paths, track.step * FADES.length + level);
      path.moveTo(x, y);
    }
    path?.lineTo(headX, headY);
  }

  #circles(context, scene, spots, view) {
    const groups = Array.from({ length: STEPS }, () => null);
    let pulsing = false;
    for (const { track, x, y } of spots) {
      const path = (groups[track.step] ??= new Path2D());
      const radius = radiusOf(track, view.zoom);
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
      if (view.now - track.born < PULSE && !this.calm.matches) pulsing = true;
    }
    context.lineWidth = 1;
    groups.forEach((path, step) => path && this.#disc(context, path, scene.colours[step]));
    if (pulsing) this.#pulses(context, scene, spots, view);
    return pulsing;
  }

  #disc(context, path, colour) {
    context.fillStyle = context.strokeStyle = colour;
    context.globalAlpha = 0.5;
    context.fill(path);
    context.globalAlpha = 0.95;
    context.stroke(path);
    context.globalAlpha = 1;
  }

  #pulses(context, scene, spots, view) {
    context.lineWidth = 1.5;
    for (const { track, x, y } of spots) {
      const age = (view.now - track.born) / PULSE;
      if (age >= 1) continue;
      context.globalAlpha = (1 - age) * 0.8;
      context.strokeStyle = scene.colours[track.step];
      context.beginPath();
      context.arc(x, y, radiusOf(track, view.zoom) + age * 22, 0, 2 * Math.PI);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #sprites(context, scene, spots, view) {
    if (spots.length === 0) return;
    const sheet = this.#sheet(scene, spots[0].track, scaleOf(spots.length, view.zoom) * view.ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingEnabled = spots.length < 300;
    const place = context.imageSmoothingEnabled ? (x) => x * view.ratio : (x) => Math.round(x * view.ratio);
    for (const { track, x, y } of spots) sheet.draw(context, track.step, track.angle, place(x), place(y));
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  }

  #sheet(scene, track, scale) {
    const known = this.#sheets.get(scene);
    if (known?.scale === scale) return known.sheet;
    const names = Object.keys(track.feature.properties ?? {});
    const kind = names.some((name) => /^(alt|callsign|icao)/i.test(name)) ? "aircraft" : "arrow";
    const sheet = new SpriteSheet(kind, scene.colours, this.colours.outline, scale);
    this.#sheets.set(scene, { scale, sheet });
    return sheet;
  }

  #label(context, spots, view) {
    if (spots.length > 300 || view.zoom < 6.5) return;
    context.font = "600 10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = this.colours.halo;
    context.fillStyle = this.colours.label;
    for (const { track, x, y } of spots) {
      if (this.#labelled.length >= LABELS) return;
      if (this.#labelled.some(([left, top]) => Math.abs(left - x) < 62 && Math.abs(top - y) < 15)) continue;
      this.#labelled.push([x, y]);
      context.strokeText(track.label, x + 15, y);
      context.fillText(track.label, x + 15, y);
    }
  }
}

/** The more there are, and the further away, the smaller; few sizes, so that sheets are seldom redrawn. */
function scaleOf(count, zoom) {
  if (count > 3000) return 0.5;
  if (count > 900) return 0.68;
  return zoom < 6 ? 0.72 : zoom < 8 ? 0.9 : 1.05;
}

export function radiusOf(track, zoom) {
  const grown = Math.min(1.8, 0.85 + Math.max(0, zoom - 3) * 0.09);
  return (track.magnitude === null ? 4.5 : 1.6 + Math.max(0, track.magnitude) ** 1.55 * 0.85) * grown;
}

function pathOf(paths, key) {
  let path = paths.get(key);
  if (!path) paths.set(key, (path = new Path2D()));
  return path;
}
