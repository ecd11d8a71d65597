/**
 * GeoStream in deck.gl 9: a layer as the `data` of whatever layers show it. Each feature keeps its place in the array while it is there, and
 * those that have not changed are the same objects, so that deck.gl computes attributes only of what has changed.
 *
 *     import { liveFeatures } from "geostream-client/deckgl";
 *     const flights = liveFeatures(client, "flights", {
 *       onChange: (live) => deck.setProps({ layers: [new ScatterplotLayer({ id: "flights", ...live, getPosition, getFillColor })] }),
 *     });
 */
import { LiveFeatures } from "./live-features.js";

/** @import { GeoStreamClient } from "../client/client.js" */
/** @import { FeatureSubscription } from "../client/feature-subscription.js" */
/** @import { BBox } from "../client/messages.js" */
/** @import { Key, LiveFeatureOptions, Painted, PlacedFeature } from "./live-features.js" */

/** Rows that need not be computed anew are, where they lie between others: fewer ranges are worth more. */
const NEAR = 16;

/**
 * @typedef {{startRow: number, endRow?: number}} Rows
 *
 * @typedef {object} LiveProps properties of a layer of deck.gl
 * @property {PlacedFeature[]} data a new array whenever something has changed
 * @property {(now: any, before?: any) => Rows[]} _dataDiff which rows are others
 *
 * @typedef {{getBounds(): [number, number, number, number], zoom: number}} DeckViewport what is used of a `Viewport`
 *
 * @typedef {object} DeckOptions
 * @property {(props: LiveProps) => void} [onChange] told at most once a frame
 * @property {() => DeckViewport | undefined} [viewport] what is in view, `() => deck.getViewports()[0]`; if absent, all that matches is sent
 *
 * @typedef {object} LiveData
 * @property {LiveProps} props as they are now
 * @property {FeatureSubscription} subscription its `features`, `update()`, events
 * @property {() => void} moved to be called when the view has changed: in `onViewStateChange`
 * @property {() => Promise<void>} remove ends the subscription
 */

/**
 * Keep the data of layers as a layer of the server is. Features without a geometry are left out.
 * @param {GeoStreamClient} client @param {string | null} layer null: every layer
 * @param {LiveFeatureOptions & DeckOptions} [options]
 * @returns {LiveData}
 */
export function liveFeatures(client, layer, options = {}) {
  const { onChange, viewport, ...rest } = options;
  const rows = new StableRows();
  const painter = {
    paint: (/** @type {Painted[]} */ entries) => {
      for (const { key, feature } of entries) {
        if (feature) rows.put(key, feature);
        else rows.remove(key);
      }
      live.props = { data: rows.copy(), _dataDiff: changedRows };
      onChange?.(live.props);
    },
  };
  /** @type {BBox} */
  const world = [-180, -90, 180, 90];
  const look = () => {
    const seen = /** @type {() => DeckViewport | undefined} */ (viewport)();
    return seen ? { bounds: /** @type {BBox} */ (seen.getBounds()), zoom: seen.zoom } : { bounds: world, zoom: 0 };
  };
  const features = new LiveFeatures(client, layer, rest, painter, viewport ? look : null);
  /** @type {LiveData} */
  const live = {
    props: { data: [], _dataDiff: changedRows },
    subscription: features.subscription,
    moved: () => features.moved(),
    remove: () => features.remove(),
  };
  return live;
}

/** Features in an array. A place that becomes free is taken by the last one. */
class StableRows {
  /** @type {PlacedFeature[]} */
  #features = [];
  /** @type {Key[]} */
  #keys = [];
  /** @type {Map<Key, number>} */
  #places = new Map();

  /** @param {Key} key @param {PlacedFeature} feature */
  put(key, feature) {
    const place = this.#places.get(key) ?? this.#keys.push(key) - 1;
    this.#places.set(key, place);
    this.#features[place] = feature;
  }

  /** @param {Key} key */
  remove(key) {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    const [lastKey, last] = [this.#keys.pop(), this.#features.pop()];
    if (lastKey === undefined || last === undefined || lastKey === key) return;
    this.#keys[place] = lastKey;
    this.#features[place] = last;
    this.#places.set(lastKey, place);
  }

  copy() {
    return this.#features.slice();
  }
}

/**
 * The rows in which two arrays differ, as deck.gl's `_dataDiff` has them; a range without an end for those that are not there any more.
 * @param {PlacedFeature[]} now @param {PlacedFeature[]} before @returns {Rows[]}
 */
export function changedRows(now, before) {
  /** @type {Required<Rows>[]} */
  const ranges = [];
  for (let row = 0; row < now.length; row += 1) {
    if (now[row] === before[row]) continue;
    const last = ranges.at(-1);
    if (last && row - last.endRow < NEAR) last.endRow = row + 1;
    else ranges.push({ startRow: row, endRow: row + 1 });
  }
  return before.length > now.length ? [...ranges, { startRow: now.length }] : ranges;
}
