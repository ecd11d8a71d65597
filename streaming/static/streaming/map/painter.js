/**
 * Draws the points of a layer on a canvas in a few passes: trails (a stroke for each colour and age), circles (grouped by colour),
 * sprites, labels. Skips what is off screen and what would lie on top of what is there; the more is visible, the less each one costs.
 */
import { SpriteSheet } from "./sprites.js";

const MARGIN = 24;
const CELL = 4;
const FADES = [0.12, 0.28, 0.5, 0.8];
/** How many trail segments a frame may have in all. */
const TRAIL_BUDGET = 5_000;
const LABELS = 70;
/** Pixels between two labels, one above the other. */
const LINE = 15;
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
    const byIcon = groupBy(visible, ({ track }) => track.icon);
    if (!this.calm.matches) this.#trails(context, scene, headed, view);
    this.#circles(context, scene, byIcon.get("circle") ?? [], view);
    byIcon.delete("circle");
    const scale = scaleOf(visible.length, view.zoom);
    for (const [icon, spots] of byIcon) this.#sprites(context, scene, icon, spots, scale, view);
    const pulsing = !this.calm.matches && this.#pulses(context, scene, visible.filter(({ track }) => track.angle === null), view);
    this.#label(context, scene, visible, scale, view);
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
    const groups = Array.from(scene.colours, () => null);
    for (const { track, x, y } of spots) {
      const path = (groups[track.step] ??= new Path2D());
      const radius = radiusOf(track, view.zoom);
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
    }
    context.lineWidth = 1;
    groups.forEach((path, step) => path && this.#disc(context, path, scene.colours[step]));
  }

  #disc(context, path, colour) {
    context.fillStyle = context.strokeStyle = colour;
    context.globalAlpha = 0.5;
    context.fill(path);
    context.globalAlpha = 0.95;
    context.stroke(path);
    context.globalAlpha = 1;
  }

  /** Rings around what is new. @returns {boolean} whether there are any */
  #pulses(context, scene, spots, view) {
    let pulsing = false;
    context.lineWidth = 1.5;
    for (const { track, x, y } of spots) {
      const age = (view.now - track.born) / PULSE;
      if (age >= 1) continue;
      pulsing = true;
      context.globalAlpha = (1 - age) * 0.8;
      context.strokeStyle = scene.colours[track.step];
      context.beginPath();
      context.arc(x, y, radiusOf(track, view.zoom) + age * 22, 0, 2 * Math.PI);
      context.stroke();
    }
    context.globalAlpha = 1;
    return pulsing;
  }

  #sprites(context, scene, icon, spots, scale, view) {
    const largest = scene.symbols.largestOf(icon);
    const sheet = this.#sheet(scene, icon, largest, scale * view.ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingEnabled = spots.length < 300;
    const place = context.imageSmoothingEnabled ? (x) => x * view.ratio : (x) => Math.round(x * view.ratio);
    for (const { track, x, y } of spots) sheet.draw(context, track.step, track.angle ?? 0, place(x), place(y), track.size / largest);
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  }

  /** The sheet of an icon, for the style of now. */
  #sheet(scene, icon, size, scale) {
    const { symbols } = scene;
    let known = this.#sheets.get(scene);
    if (known?.symbols !== symbols || known.scale !== scale) this.#sheets.set(scene, (known = { symbols, scale, byIcon: new Map() }));
    if (!known.byIcon.has(icon)) known.byIcon.set(icon, new SpriteSheet(icon, scene.colours, this.colours.outline, size, scale, symbols.turns));
    return known.byIcon.get(icon);
  }

  #label(context, scene, spots, scale, view) {
    if (spots.length > 300 || view.zoom < scene.symbols.labelsFrom) return;
    context.font = "600 10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = this.colours.halo;
    context.fillStyle = this.colours.label;
    for (const { track, x, y } of spots) {
      if (this.#labelled.length >= LABELS) return;
      if (!track.label) continue;
      const left = x + (track.size / 2) * scale + 4;
      const right = left + context.measureText(track.label).width;
      if (this.#labelled.some((other) => left < other.right && right > other.left && Math.abs(other.y - y) < LINE)) continue;
      this.#labelled.push({ left, right, y });
      context.strokeText(track.label, left, y);
      context.fillText(track.label, left, y);
    }
  }
}

/** The more there are, and the further away, the smaller; few sizes, so that sheets are seldom redrawn. */
function scaleOf(count, zoom) {
  if (count > 3000) return 0.5;
  if (count > 900) return 0.68;
  return zoom < 6 ? 0.72 : zoom < 8 ? 0.9 : 1.05;
}

/** Of a circle: the closer one looks, the larger. */
function radiusOf(track, zoom) {
  return (track.size / 2) * Math.min(1.8, 0.85 + Math.max(0, zoom - 3) * 0.09);
}

function groupBy(spots, keyOf) {
  const groups = new Map();
  for (const spot of spots) {
    const key = keyOf(spot);
    if (groups.has(key)) groups.get(key).push(spot);
    else groups.set(key, [spot]);
  }
  return groups;
}

function pathOf(paths, key) {
  let path = paths.get(key);
  if (!path) paths.set(key, (path = new Path2D()));
  return path;
}
