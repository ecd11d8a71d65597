/**
 * The local, always current copy of what a subscription matches. Every message becomes the changes it *really* makes here, so that
 * a repeated snapshot, or a difference that overlaps what is known, is never reported as something new.
 */

/** @import { Feature, FeatureData } from "./messages.js" */

/** Whether two JSON values mean the same (members in any order). @param {any} a @param {any} b @returns {boolean} */
export function sameJson(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]));
}

/**
 * Apply a JSON Merge Patch (RFC 7396); the target is not changed.
 * @param {any} target @param {any} patch @returns {any}
 */
export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** A delta that starts from something else than what is held here. */
export class Misfit extends Error {}

/**
 * @typedef {object} Change
 * @property {"added" | "updated" | "deleted"} type
 * @property {string | null} layer
 * @property {string | number} id
 * @property {Feature} feature the new version; of a deletion the last known one
 * @property {Feature | null} previous the version it replaces
 * @property {string | null} reason of a deletion: `left_view`, `expired`, `deleted`, or `resync` (gone while the connection was lost)
 */
export class Collection {
  /** @type {Map<string | number, Feature>} */
  features = new Map();
  /** @type {Map<string | number, string | null>} */
  #layers = new Map();
  /** What the server calls what is held, if it does. @type {Map<string | number, string>} */
  #versions = new Map();
  #perLayer;
  /** @type {Set<string | number> | null} */
  #seen = null;
  /** @type {string | null} */
  layer = null;

  /** @param {boolean} perLayer whether ids of several layers are mixed here */
  constructor(perLayer) {
    this.#perLayer = perLayer;
  }

  /**
   * The key of a feature: its id, 7 apart from "7"; where layers are mixed, the JSON text of `[layer, id]`.
   * @param {string | number} id @param {string | null} [layer] @returns {string | number}
   */
  key(id, layer) {
    return this.#perLayer ? JSON.stringify([layer, id]) : id;
  }

  /** What arrives next is the whole state. */
  beginReplacement() {
    this.#seen = new Set();
  }

  /** The replacement was cut off: keep what is known until the next whole state. */
  abandonReplacement() {
    this.#seen = null;
  }

  /** The whole state has arrived: what was not in it is gone. @returns {Change[]} */
  finishReplacement() {
    const seen = this.#seen;
    if (!seen) return [];
    this.#seen = null;
    const gone = [...this.features.keys()].filter((key) => !seen.has(key));
    return gone.map((key) => this.#remove(key, "resync"));
  }

  /**
   * @param {Pick<FeatureData, "change_type" | "geojson" | "layer" | "id" | "reason" | "version" | "encoding" | "base_version">} message
   * @returns {{count: number, changes: Change[]}} Throws a {@link Misfit}, and then has taken nothing.
   */
  apply(message) {
    const document = typeof message.geojson === "string" ? JSON.parse(message.geojson) : message.geojson;
    const batch = document.type === "FeatureCollection";
    /** @type {Feature[]} */
    const features = batch ? document.features : [document];
    const ids = features.map(({ id }) => /** @type {string | number} */ (batch ? id : (message.id ?? id)));
    const whole = message.encoding
      ? features.map((patch, at) => this.#patched(ids[at], patch, message, each(message.base_version, at)))
      : features;
    const changes = [];
    for (const [at, feature] of whole.entries()) {
      const id = ids[at];
      const change = message.change_type === "deleted" ? this.#delete(id, message) : this.#put(id, feature, message);
      const version = each(message.version, at);
      if (version) this.#versions.set(this.key(id, message.layer), version);
      if (change) changes.push(change);
    }
    return { count: features.length, changes };
  }

  /**
   * @param {string | number} id @param {object} patch @param {{layer?: string | null, encoding?: string | null}} message
   * @param {string | undefined} base @returns {Feature}
   */
  #patched(id, patch, { layer, encoding }, base) {
    const key = this.key(id, layer);
    if (encoding !== "merge-patch" || !base || this.#versions.get(key) !== base) throw new Misfit(`feature ${key}`);
    return mergePatch(this.features.get(key), patch);
  }

  /** @param {string | number} id @param {Feature} feature @param {{layer?: string | null}} message @returns {Change | null} */
  #put(id, feature, { layer = null }) {
    const key = this.key(id, layer);
    const previous = this.features.get(key) ?? null;
    const replacing = this.#seen?.add(key);
    if (replacing && previous && sameJson(previous, feature)) return null;
    this.features.set(key, feature);
    if (this.#perLayer) this.#layers.set(key, layer);
    else this.layer = layer;
    return { type: previous ? "updated" : "added", layer, id, feature, previous, reason: null };
  }

  /** @param {string | number} id @param {{layer?: string | null, reason?: string | null}} message */
  #delete(id, { layer = null, reason = null }) {
    const key = this.key(id, layer);
    this.#seen?.delete(key);
    return this.features.has(key) ? this.#remove(key, reason) : null;
  }

  /** @param {string | number} key one that is there @param {string | null} reason @returns {Change} */
  #remove(key, reason) {
    const feature = /** @type {Feature} */ (this.features.get(key));
    const layer = this.#perLayer ? this.#layers.get(key) : this.layer;
    const id = this.#perLayer ? JSON.parse(String(key))[1] : key;
    this.features.delete(key);
    this.#layers.delete(key);
    this.#versions.delete(key);
    return { type: "deleted", layer: layer ?? null, id, feature, previous: feature, reason };
  }
}

/** Of one feature: in a batch there is a list. @param {string | string[] | null | undefined} value @param {number} at */
const each = (value, at) => (Array.isArray(value) ? value[at] : (value ?? undefined));
