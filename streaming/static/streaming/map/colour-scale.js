/**
 * The `color` of a style as a list of colours and the place of each feature in it: interpolated ones are cut into steps, so that what has the
 * same colour can be drawn together.
 */
import { NO_VALUE, paletteStops } from "../style/palettes.js";
import { caseOf, placeAmong } from "../style/values.js";

/** Into how many colours an interpolation is cut. */
export const STEPS = 24;

const channels = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

/** The colour at a place between those of a list, as `placeAmong` has it. */
function mixed(colours, place) {
  const index = Math.min(Math.floor(place), colours.length - 2);
  const [a, b] = [channels(colours[index]), channels(colours[index + 1])];
  return `rgb(${a.map((value, n) => Math.round(value + (b[n] - value) * (place - index))).join(",")})`;
}

export class ColourScale {
  /** What there is to draw with. @type {string[]} */
  colours;
  /** Of a scale by numbers: the values at which its colours are exact. @type {number[]} */
  stops = [];
  #color;

  /**
   * @param {any} color of the style; undefined: the plain one
   * @param {{theme: "dark" | "light", plain: string, domain: [number, number]}} context domain: for a palette without one
   */
  constructor(color, { theme, plain, domain }) {
    this.#color = typeof color === "object" ? color : null;
    if (!this.#color) this.colours = [color ?? plain];
    else if (color.type === "match") this.colours = [...color.cases.map(([, each]) => each), color.default];
    else this.#takeStops(color, color.stops ?? paletteStops(color.palette, theme, color.domain ?? domain));
  }

  #takeStops(color, stops) {
    const colours = stops.map(([, each]) => each);
    this.stops = stops.map(([value]) => value);
    const last = colours.length - 1;
    this.colours = color.type === "step" ? colours : Array.from({ length: STEPS }, (_, step) => mixed(colours, (step / (STEPS - 1)) * last));
    this.colours.push(color.default ?? NO_VALUE);
  }

  get type() {
    return this.#color?.type ?? "constant";
  }

  /** The place in `colours` for a value of the property. */
  stepOf(value) {
    if (!this.#color) return 0;
    const none = this.colours.length - 1;
    if (this.type === "match") {
      const place = caseOf(value, this.#color.cases);
      return place < 0 ? none : place;
    }
    if (typeof value !== "number" || Number.isNaN(value)) return none;
    const { stops } = this;
    if (this.type === "step") return Math.floor(placeAmong(value, stops));
    if (stops[0] === stops.at(-1)) return value < stops[0] ? 0 : value > stops[0] ? STEPS - 1 : STEPS / 2;
    return Math.round((placeAmong(value, stops) / (stops.length - 1)) * (STEPS - 1));
  }

  /** The colours that a legend, or the swatch of a layer, is painted with, from the least to the greatest value. */
  get shown() {
    return this.#color ? this.colours.slice(0, -1) : this.colours;
  }
}
