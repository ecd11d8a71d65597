/**
 * The features of a subscription, shown by a map library: what all adapters share. What has changed is handed on once an animation frame,
 * as it is then, within a budget of time; the box of the subscription follows the map.
 */
import { Frames } from "./frames.js";
import { ViewFollower } from "./view.js";

/** @import { GeoStreamClient } from "../client/client.js" */
/** @import { Change } from "../client/collection.js" */
/** @import { GeoStreamError } from "../client/errors.js" */
/** @import { FeatureOptions, FeatureSubscription } from "../client/feature-subscription.js" */
/** @import { BBox, Feature } from "../client/messages.js" */
/** @import { Look } from "./view.js" */

/** @typedef {string | number} Key of a feature: its id; in a subscription to every layer the JSON text of `[layer, id]` */

/**
 * @typedef {Feature & {geometry: NonNullable<Feature["geometry"]>}} PlacedFeature one that can be drawn
 *
 * @typedef {object} AdapterOptions
 * @property {(error: GeoStreamError) => void} [onError] told when the server refuses something or ends the subscription
 * @property {number} [budget] milliseconds of an animation frame that may be spent on what has arrived (6)
 * @property {number} [debounce] milliseconds between two requests while the map moves (150)
 * @property {number} [padding] the margin around the view, as a part of its width and height (0.25)
 *
 * @typedef {FeatureOptions & AdapterOptions} LiveFeatureOptions
 *
 * @typedef {object} Painted what is to be done about a feature
 * @property {Key} key
 * @property {PlacedFeature | null} feature as it is; null: it is not to be shown any more
 * @property {PlacedFeature | null} shown as it was painted last
 *
 * @typedef {object} Painter what an adapter does with features
 * @property {() => boolean} [ready] whether it can take more now
 * @property {(entries: Painted[]) => void} paint what has changed, once a frame
 */

export class LiveFeatures {
  /** @type {Map<Key, PlacedFeature>} */
  #shown = new Map();
  /** @type {Frames<Key>} */
  #frames;
  /** @type {ViewFollower | null} */
  #follower = null;
  #painter;
  /** What is followed: its `features`, `cursor`, `update()`, events. @type {FeatureSubscription} */
  subscription;

  /**
   * @param {GeoStreamClient} client @param {string | null} layer @param {LiveFeatureOptions} options
   * @param {Painter} painter @param {(() => Look) | null} look where the map looks; null: the box stays as it is
   */
  constructor(client, layer, { onError, budget = 6, debounce, padding, ...conditions }, painter, look) {
    this.#painter = painter;
    this.#frames = new Frames({ budget, ready: painter.ready, step: (keys) => this.#paint(keys) });
    if (look) {
      const ask = (/** @type {BBox} */ bbox, /** @type {number} */ zoom) => {
        const view = { bbox, ...cellsAt(conditions, zoom) };
        if (this.subscription) this.subscription.update(view);
        else Object.assign(conditions, view);
      };
      this.#follower = new ViewFollower(look, ask, { debounce, padding, zoomStep: "aggregate" in cellsAt(conditions, 0) ? 1 : Infinity });
      this.#follower.follow();
    }
    this.subscription = client.subscribeFeatures(layer, conditions);
    this.subscription.addEventListener("changes", ({ detail }) => this.#frames.add(detail.map(keyOf(layer))));
    if (onError) this.subscription.addEventListener("error", ({ detail }) => onError(detail));
  }

  /** The map moves. */
  moved() {
    if (!this.subscription.closed) this.#follower?.moved();
  }

  /** What was painted is gone: paint everything anew. */
  restart() {
    this.#shown.clear();
    this.#frames.add(this.subscription.features.keys());
  }

  /** End the subscription; from now on nothing is painted. Resolves when the server has confirmed it. @returns {Promise<void>} */
  remove() {
    this.#follower?.stop();
    this.#frames.stop();
    this.#shown.clear();
    return this.subscription.unsubscribe();
  }

  /** @param {Key[]} keys */
  #paint(keys) {
    const entries = [];
    for (const key of keys) {
      const shown = this.#shown.get(key) ?? null;
      const feature = placed(this.subscription.features.get(key));
      if (feature === shown) continue;
      if (feature) this.#shown.set(key, feature);
      else this.#shown.delete(key);
      entries.push({ key, feature, shown });
    }
    if (entries.length > 0) this.#painter.paint(entries);
  }
}

/** @param {string | null} layer @returns {(change: Change) => Key} */
function keyOf(layer) {
  return layer === null ? (change) => JSON.stringify([change.layer, change.id]) : ({ id }) => id;
}

/** @param {Feature | undefined} feature @returns {PlacedFeature | null} */
function placed(feature) {
  return feature?.geometry ? /** @type {PlacedFeature} */ (feature) : null;
}

/**
 * Cells whose size nobody has chosen are those that suit the zoom, which the server counts by tiles of 256 pixels.
 * @param {FeatureOptions} conditions @param {number} zoom @returns {Pick<FeatureOptions, "aggregate">}
 */
function cellsAt({ aggregate }, zoom) {
  if (!aggregate || "resolution" in aggregate || "zoom" in aggregate) return {};
  return { aggregate: { ...aggregate, zoom: Math.min(zoom + 1, 30) } };
}
