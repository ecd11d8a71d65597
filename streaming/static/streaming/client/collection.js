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
   * @param {Pick<FeatureData, "change_type" | "geojson" | "layer" | "id" | "reason">} message
   * @returns {{count: number, changes: Change[]}}
   */
  apply(message) {
    const document = typeof message.geojson === "string" ? JSON.parse(message.geojson) : message.geojson;
    const batch = document.type === "FeatureCollection";
    /** @type {Feature[]} */
    const features = batch ? document.features : [document];
    const changes = [];
    for (const feature of features) {
      const id = /** @type {string | number} */ (batch ? feature.id : (message.id ?? feature.id));
      const change = message.change_type === "deleted" ? this.#delete(id, message) : this.#put(id, feature, message);
      if (change) changes.push(change);
    }
    return { count: features.length, changes };
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
    return { type: "deleted", layer: layer ?? null, id, feature, previous: feature, reason };
  }
}
