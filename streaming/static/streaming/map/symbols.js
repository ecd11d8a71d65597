/** A style that has been read: how each feature of a layer is drawn. */
import { caseOf, numberOf, placeAmong, TIME, valueOf } from "../style/values.js";
import { ColourScale } from "./colour-scale.js";
import { usualSize } from "./icons.js";
import { COUNT, nameOf } from "./properties.js";
import { toTime } from "./times.js";

const LONGEST_LABEL = 24;
const LABELS_FROM_ZOOM = 6.5;

export class Symbols {
  /** @type {ColourScale} */
  scale;
  /** The zoom from which on there are labels; Infinity for none. */
  labelsFrom;
  #style;
  #sizeStops = [];
  #timeProperty;

  /**
   * @param {object} style by the schema of styles
   * @param {{theme: "dark" | "light", plain: string, domain: [number, number], timeProperty: string | null}} context
   */
  constructor(style, context) {
    this.#style = style;
    this.#timeProperty = context.timeProperty;
    this.scale = new ColourScale(style.color, context);
    const { size, label } = style;
    if (typeof size === "object") this.#sizeStops = size.stops.map(([stop]) => stop);
    this.labelsFrom = label ? (label.min_zoom ?? LABELS_FROM_ZOOM) : Infinity;
  }

  /** The property that colours depend on, null if they do not. */
  get property() {
    return this.#style.color?.property ?? null;
  }

  /** The value of the property that colours depend on; of numbers and times a number. */
  valueOf(feature) {
    return this.property === null ? NaN : readValue(feature, this.property, this.#timeProperty);
  }

  /** The greatest size that features with this icon may have. */
  largestOf(icon) {
    const { size } = this.#style;
    return typeof size === "object" ? Math.max(size.default ?? 0, ...size.stops.map(([, pixels]) => pixels)) : (size ?? usualSize(icon));
  }

  /** The place of its colour in the scale. */
  stepOf(feature) {
    return this.scale.stepOf(this.valueOf(feature));
  }

  iconOf(feature) {
    const { icon, rotate } = this.#style;
    if (typeof icon !== "object") return icon ?? (rotate ? "arrow" : "circle");
    const place = caseOf(this.#read(feature, icon.property), icon.cases);
    return place < 0 ? icon.default : icon.cases[place][1];
  }

  /** In pixels across. */
  sizeOf(feature, icon) {
    const { size } = this.#style;
    if (typeof size !== "object") return size ?? usualSize(icon);
    const value = numberOf(this.#read(feature, size.property));
    if (Number.isNaN(value)) return size.default ?? size.stops[0][1];
    const place = placeAmong(value, this.#sizeStops);
    const [low, high] = [size.stops[Math.floor(place)], size.stops[Math.ceil(place)]];
    return low[1] + (high[1] - low[1]) * (place % 1);
  }

  /** Whether icons are turned. */
  get turns() {
    return this.#style.rotate !== undefined;
  }

  /** In radians clockwise from north; null if it is not turned. */
  angleOf(feature) {
    const { rotate } = this.#style;
    const degrees = rotate ? numberOf(this.#read(feature, rotate.property)) : NaN;
    return Number.isNaN(degrees) ? null : ((degrees % 360) * Math.PI) / 180;
  }

  /** What is written beside it, "" for nothing. */
  labelOf(feature) {
    const { label } = this.#style;
    return label ? shortened(textOf(this.#read(feature, label.property))) : "";
  }

  /** What a feature is called: by its label, else by what usually has the name. */
  titleOf(feature) {
    const { label } = this.#style;
    return (label && textOf(this.#read(feature, label.property))) || nameOf(feature);
  }

  #read(feature, name) {
    return readValue(feature, name, this.#timeProperty);
  }
}

/** The value of a property, or of what stands for one. */
export function readValue(feature, name, timeProperty) {
  if (name === TIME) return timeProperty ? toTime(valueOf(feature, timeProperty)) : NaN;
  if (name === COUNT) return Math.log10(Math.max(1, feature.properties?.count));
  return valueOf(feature, name);
}

function textOf(value) {
  return value === null || value === undefined || typeof value === "object" ? "" : String(value);
}

function shortened(text) {
  return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text;
}

