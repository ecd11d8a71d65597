/** Everything of one layer that can be drawn, and its style. Knows features, not the screen. */
import { numberOf } from "../style/values.js";
import { domainFor, plainColour, rampFor, takesAll } from "./palette.js";
import { headingIn, measures, nameIn } from "./properties.js";
import { Shape } from "./shape.js";
import { Symbols } from "./symbols.js";
import { Track } from "./track.js";

const SAMPLE = 200;
/** After so many new features the domain of the colours is looked at again. */
const RESCALE_AFTER = 250;

export class LayerScene {
  tracks = new Map();
  shapes = new Map();
  candidates = [];
  domain = [0, 1];
  /** How the features are drawn. @type {Symbols} */
  symbols;
  #news = 0;
  #surveyed = 0;
  /** By what the features are like: for a layer without a style. */
  #guessed = { version: 1 };
  /** What was chosen on this page instead of the layer's own style. */
  #chosen = null;
  /** Of the areas of its polygons; undefined: the usual one. @type {number | undefined} */
  opacity = undefined;
  /** Whether lines, polygons or cells look different from what was drawn last. */
  stale = false;
  /** Of the properties that its features have. */
  propertyNames = new Set();

  /** @param {{name: string, title: string, time_property: string | null, style?: object | null}} layer @param {"dark" | "light"} theme @param {number} ordinal of its plain colour */
  constructor(layer, theme, ordinal = 0) {
    this.layer = layer;
    this.ordinal = ordinal;
    this.setTheme(theme);
  }

  /** The style that the layer has, or would have by what its features are like. */
  get ownStyle() {
    return this.layer.style ?? this.#guessed;
  }

  /** The style that it is drawn with. */
  get style() {
    return this.#chosen ?? this.ownStyle;
  }

  get property() {
    return this.symbols.property;
  }

  get colours() {
    return this.symbols.scale.colours;
  }

  setTheme(theme) {
    this.theme = theme;
    this.#restyle();
  }

  /** Draw it by another style than its own, on this page. @param {object | null} style null: by its own */
  setStyle(style) {
    this.#chosen = style;
    this.#rescale();
  }

  /** The layer has changed. */
  setLayer(layer) {
    const before = this.layer.style;
    this.layer = layer;
    if (JSON.stringify(before) !== JSON.stringify(layer.style)) this.#chosen = null; // what was chosen was chosen instead of another one
    this.#rescale();
  }

  /** Colour by this property, on this page; null for one colour. */
  colourBy(property) {
    const own = this.ownStyle.color;
    if ((own?.property ?? null) === property) return this.setStyle(null);
    this.setStyle({ ...this.ownStyle, color: property === null ? undefined : rampFor(property) });
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
    this.#rescale();
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
    if (isPoint) this.#track(id, feature, now, smooth, arrives);
    else this.shape(id, feature);
    if (!this.#fitsValues) return;
    const value = this.symbols.valueOf(feature);
    const [low, high] = this.domain;
    if ((takesAll(this.property) || low === high) && (value < low || value > high)) this.#news = RESCALE_AFTER;
  }

  #track(id, feature, now, smooth, arrives) {
    const known = this.tracks.get(id);
    if (known) return known.update(feature, now, smooth);
    this.#news += 1;
    this.tracks.set(id, new Track(id, feature, now, this.symbols, arrives));
  }

  /** The shape of a new version of a feature. */
  shape(id, feature) {
    this.#news += 1;
    this.shapes.set(id, new Shape(id, feature, this.symbols));
    this.stale = true;
  }

  /** Draw it as the style has it now. @param {Track | Shape} drawable */
  restyle(drawable) {
    if (drawable.restyle(this.symbols)) this.stale = true;
  }

  titleOf(feature) {
    return this.symbols.titleOf(feature);
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
    if (first) this.#guessed = guessStyle(sample, this.candidates[0]);
    return first || before !== this.candidates.join();
  }

  /** Whether colours go from the least to the greatest value that is seen. */
  get #fitsValues() {
    const { color } = this.style;
    return color?.palette !== undefined && color.domain === undefined;
  }

  #rescale() {
    this.#news = 0;
    if (this.#fitsValues) {
      const read = this.#symbolsOf(this.style);
      const values = [...this.drawables()].map(({ feature }) => numberOf(read.valueOf(feature)));
      this.domain = domainFor(read.property, values.filter(Number.isFinite));
    }
    this.#restyle();
  }

  #restyle() {
    const before = String(this.symbols?.scale.colours);
    this.symbols = this.#symbolsOf(this.style);
    if (String(this.colours) !== before) this.stale = true;
    for (const drawable of this.drawables()) this.restyle(drawable);
  }

  #symbolsOf(style) {
    const { theme, domain, layer } = this;
    return new Symbols(style, { theme, domain, plain: plainColour(theme, this.ordinal), timeProperty: layer.time_property });
  }
}

/** A style for features that nobody has described: coloured by a measure and, if they have a heading, arrows with their names. */
function guessStyle(sample, measure) {
  const [heading, name] = [headingIn(sample), nameIn(sample)];
  return {
    version: 1,
    ...(measure && { color: rampFor(measure) }),
    ...(heading && { rotate: { property: heading } }),
    ...(heading && name && { label: { property: name } }),
  };
}
