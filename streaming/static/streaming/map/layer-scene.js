/** Everything of one layer that can be drawn, and how it is coloured. Knows features, not the screen. */
import { colours, domainFor, rampFor, stepOf } from "./palette.js";
import { measure, measures, nameOf } from "./properties.js";
import { Shape } from "./shape.js";
import { Track } from "./track.js";

const SAMPLE = 200;
/** After so many new features the domain of the colours is looked at again. */
const RESCALE_AFTER = 250;

export class LayerScene {
  tracks = new Map();
  shapes = new Map();
  property = null;
  candidates = [];
  domain = [0, 1];
  #news = 0;
  #surveyed = 0;
  /** Of the areas of its polygons; undefined: the usual one. @type {number | undefined} */
  opacity = undefined;
  /** Whether lines, polygons or cells look different from what was drawn last. */
  stale = false;
  /** Of the properties that its features have. */
  propertyNames = new Set();

  /** @param {{name: string, title: string, time_property: string | null}} layer @param {"dark" | "light"} theme @param {number} ordinal of its plain colour */
  constructor(layer, theme, ordinal = 0) {
    this.layer = layer;
    this.ordinal = ordinal;
    this.setTheme(theme);
  }

  get ramp() {
    return this.property ? rampFor(this.property) : null;
  }

  setTheme(theme) {
    this.theme = theme;
    this.colours = colours(this.ramp, theme, this.ordinal);
  }

  /** Colour by this property; null for one colour. */
  colourBy(property) {
    this.property = property;
    this.setTheme(this.theme);
    this.rescale();
  }

  /**
   * @param {import("../client/collection.js").Change[]} changes @param {number} now @param {boolean} smooth whether features glide
   * @param {boolean} arrives whether what is added is news, and not part of what was there before
   * @returns {boolean} whether the legend changed
   */
  apply(changes, now, smooth, arrives = true) {
    for (const change of changes) this.#applyOne(change, now, smooth, arrives);
    const surveyed = this.survey();
    if (this.#news < RESCALE_AFTER && !surveyed) return false;
    this.rescale();
    return true;
  }

  clear() {
    this.tracks.clear();
    this.shapes.clear();
    this.stale = true;
  }

  #applyOne({ type, id, feature }, now, smooth, arrives) {
    if (type === "deleted" || !feature.geometry) {
      this.tracks.delete(id);
      if (this.shapes.delete(id)) this.stale = true;
      return;
    }
    const isPoint = feature.geometry.type === "Point";
    if (!isPoint) this.tracks.delete(id);
    else if (this.shapes.delete(id)) this.stale = true;
    const drawable = isPoint ? this.#track(id, feature, now, smooth, arrives) : this.shape(id, feature);
    const value = this.#value(feature);
    this.#paint(drawable, stepOf(value, this.domain));
    const [low, high] = this.domain;
    if ((this.ramp === "altitude" || low === high) && (value < low || value > high)) this.#news = RESCALE_AFTER;
  }

  #track(id, feature, now, smooth, arrives) {
    const known = this.tracks.get(id);
    if (known) {
      known.update(feature, now, smooth);
      return known;
    }
    this.#news += 1;
    const track = new Track(id, feature, now, arrives);
    this.tracks.set(id, track);
    return track;
  }

  /** The shape of a new version of a feature. */
  shape(id, feature) {
    this.#news += 1;
    const shape = new Shape(id, feature);
    this.shapes.set(id, shape);
    this.stale = true;
    return shape;
  }

  #paint(drawable, step) {
    if (drawable.step === step) return;
    drawable.step = step;
    if (drawable instanceof Shape) this.stale = true;
  }

  titleOf(feature) {
    return nameOf(feature);
  }

  #value(feature) {
    return this.property ? measure(feature, this.property, this.layer.time_property) : NaN;
  }

  /** What there is to draw. @returns {Iterable<Track | Shape>} */
  *drawables() {
    yield* this.tracks.values();
    yield* this.shapes.values();
  }

  /** Learn from the first features what there is to colour by. @returns {boolean} whether something is new */
  survey() {
    const count = this.tracks.size + this.shapes.size;
    if (count === 0 || this.#surveyed >= Math.min(count, SAMPLE)) return false;
    const sample = [...this.drawables()].slice(0, SAMPLE).map(({ feature }) => feature);
    const first = this.#surveyed === 0;
    this.#surveyed = sample.length;
    const before = this.candidates.join();
    this.candidates = measures(sample, this.layer.time_property);
    for (const { properties } of sample) for (const name of Object.keys(properties ?? {})) this.propertyNames.add(name);
    if (first) this.colourBy(this.candidates[0] ?? null);
    return first || before !== this.candidates.join();
  }

  rescale() {
    this.#news = 0;
    if (!this.property) return;
    const values = [...this.drawables()].map(({ feature }) => this.#value(feature)).filter(Number.isFinite);
    this.domain = domainFor(this.property, values);
    for (const drawable of this.drawables()) this.#paint(drawable, stepOf(this.#value(drawable.feature), this.domain));
  }
}
