/** Following what a map shows: which box to ask for, and when to ask anew. */

/** @import { BBox } from "../client/messages.js" */

/**
 * @typedef {object} Look where a map looks
 * @property {BBox} bounds west, south, east, north in degrees; a map that was scrolled around the world may say more than ±180
 * @property {number} zoom
 */

/** @param {number} longitude degrees @returns {number} the same place between -180 and 180 */
const wrapped = (longitude) => longitude - 360 * Math.floor((longitude + 180) / 360);

/**
 * The box to ask for, so that bounds are inside: within ±180 and ±90 degrees, with west > east across the antimeridian.
 * @param {BBox} bounds @returns {BBox}
 */
export function boxOf([west, south, east, north]) {
  const [bottom, top] = [Math.max(south, -90), Math.min(north, 90)];
  if (east - west >= 360) return [-180, bottom, 180, top];
  const right = wrapped(east);
  return [wrapped(west), bottom, right === -180 ? 180 : right, top];
}

/** Bounds with more around them. @param {BBox} bounds @param {number} part of their width and height, on each side @returns {BBox} */
export function padded([west, south, east, north], part) {
  const [width, height] = [(east - west) * part, (north - south) * part];
  return [west - width, south - height, east + width, north + height];
}

/** @param {BBox} outer @param {BBox} inner */
const holds = (outer, inner) => outer[0] <= inner[0] && outer[1] <= inner[1] && outer[2] >= inner[2] && outer[3] >= inner[3];

/** @param {BBox} bounds */
const width = ([west, , east]) => east - west;

/**
 * Asks for what is in view and a margin around it. While a map moves, at most once in `debounce` milliseconds; not at all while it stays
 * within what was asked for, unless it shows but a small part of that, or has come to another zoom.
 */
export class ViewFollower {
  #look;
  #ask;
  #options;
  /** @type {{bounds: BBox, zoom: number} | null} */
  #asked = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => Look} look
   * @param {(box: BBox, zoom: number) => void} ask
   * @param {{debounce?: number, padding?: number, zoomStep?: number}} [options] `zoomStep`: whole zooms that make a difference
   */
  constructor(look, ask, { debounce = 150, padding = 0.25, zoomStep = Infinity } = {}) {
    this.#look = look;
    this.#ask = ask;
    this.#options = { debounce, padding, zoomStep };
  }

  /** Ask now, if it is needed. */
  follow() {
    this.stop();
    const { bounds, zoom: exact } = this.#look();
    const zoom = Math.floor(exact);
    if (this.#asked && this.#suits(this.#asked, bounds, zoom)) return;
    this.#asked = { bounds: padded(bounds, this.#options.padding), zoom };
    this.#ask(boxOf(this.#asked.bounds), zoom);
  }

  /** The map moves. */
  moved() {
    this.#timer ??= setTimeout(() => this.follow(), this.#options.debounce);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {{bounds: BBox, zoom: number}} asked @param {BBox} bounds @param {number} zoom */
  #suits(asked, bounds, zoom) {
    if (Math.abs(asked.zoom - zoom) >= this.#options.zoomStep) return false;
    return holds(asked.bounds, bounds) && width(asked.bounds) <= width(bounds) * 2 * (1 + 2 * this.#options.padding);
  }
}
