/**
 * Pre-drawn icons: a sheet with one sprite per colour and direction, so that a feature costs one unrotated `drawImage`, unscaled where all
 * are of one size. That is what keeps thousands of moving features cheap, also where no graphics card helps.
 */
import { ICONS } from "./icons.js";

/** Into how many directions the circle is cut (5.6 degrees each: finer than the eye can tell at this size). */
const DIRECTIONS = 64;
const FULL_TURN = 2 * Math.PI;
const EDGE = 1.5;
/** Device pixels of the radius of a sprite; larger icons are drawn from this one. */
const LARGEST = 34;

export class SpriteSheet {
  #directions;
  /** How much larger than on the sheet an icon of the greatest size is. */
  #enlarged;

  /**
   * @param {string} icon @param {string[]} colours @param {string} edge its colour
   * @param {number} size pixels across @param {number} scale device pixels per pixel @param {boolean} turns whether there are directions
   */
  constructor(icon, colours, edge, size, scale, turns) {
    const wanted = (size / 2) * scale;
    const radius = Math.min(wanted, LARGEST);
    this.#enlarged = wanted / radius;
    this.#directions = turns ? DIRECTIONS : 1;
    const line = EDGE * Math.min(scale, radius / 4);
    this.side = 2 * Math.ceil(radius * 1.1 + line);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.side * colours.length;
    this.canvas.height = this.side * this.#directions;
    const context = this.canvas.getContext("2d");
    Object.assign(context, { lineJoin: "round", lineWidth: 2 * line, strokeStyle: edge });
    const path = new Path2D();
    path.addPath(new Path2D(ICONS[icon]), new DOMMatrix().scale(radius));
    for (let direction = 0; direction < this.#directions; direction += 1) this.#row(context, path, colours, direction);
  }

  #row(context, path, colours, direction) {
    const angle = (direction / this.#directions) * FULL_TURN;
    const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
    colours.forEach((colour, step) => {
      context.setTransform(cosine, sine, -sine, cosine, (step + 0.5) * this.side, (direction + 0.5) * this.side);
      context.stroke(path);
      context.fillStyle = colour;
      context.fill(path, "evenodd");
    });
  }

  /** Draw with the middle at (x, y), in device pixels. @param {number} part of the greatest size */
  draw(context, step, angle, x, y, part = 1) {
    const { canvas, side } = this;
    const count = this.#directions;
    const direction = ((Math.round((angle / FULL_TURN) * count) % count) + count) % count;
    const drawn = side * this.#enlarged * part;
    context.drawImage(canvas, step * side, direction * side, side, side, x - drawn / 2, y - drawn / 2, drawn, drawn);
  }
}
