/**
 * One subscription to the features of a layer (or of all): a live collection that survives lost connections.
 *
 * Events, all `CustomEvent`s with the value in `detail`:
 * - `change`: one {@link Change}
 * - `changes`: the array of changes of one message, for those who redraw once per message
 * - `ready`: the ack, when the snapshot (or what was missed, or the difference of an update) has arrived completely
 * - `error`: a GeoStreamError, when the server refused something
 */
import { Collection, Misfit } from "./collection.js";
import { Subscription } from "./subscription.js";

/** @import { Change } from "./collection.js" */
/** @import { Ack, Aggregate, BBox, Cursor, Feature, FeatureData } from "./messages.js" */
/** @import { Channel, Kind, Ready, SubscriptionEvents } from "./subscription.js" */

/** Option of this library → key of the protocol. @type {Record<string, string>} */
const CONDITIONS = {
  bbox: "bbox",
  geometry: "geometry",
  center: "center",
  radiusM: "radius_m",
  filters: "filters",
  datetime: "datetime",
  filter: "filter",
  filterLang: "filter_lang",
  crs: "crs",
  properties: "properties",
  maxRate: "max_rate",
  minDistance: "min_distance",
  aggregate: "aggregate",
};

/**
 * @typedef {object} FeatureConditions
 * @property {BBox | null} [bbox]
 * @property {object | null} [geometry] a GeoJSON Polygon or MultiPolygon
 * @property {[number, number] | null} [center] longitude and latitude of a circle, together with radiusM
 * @property {number | null} [radiusM] metres along the surface of the Earth
 * @property {Record<string, string | number | boolean> | [string, string][] | null} [filters] properties that must be equal
 * @property {string | null} [datetime] an OGC interval
 * @property {string | object | null} [filter] CQL2
 * @property {"cql2-text" | "cql2-json" | null} [filterLang]
 * @property {number | string | null} [crs] output CRS
 * @property {string[] | null} [properties] the only properties to send
 * @property {number | null} [maxRate] updates a second and feature
 * @property {number | null} [minDistance] metres that a feature moves before it is sent again
 * @property {Aggregate | null} [aggregate] cells instead of features; the box then selects cells, and all else the features counted
 *
 * @typedef {object} FeaturePresentation
 * @property {boolean} [batch] false: one message a change
 * @property {boolean} [snapshot] false: leave out what is there already
 * @property {boolean} [delta] true: of an update only what has changed is sent, where that is shorter
 * @property {Cursor | null} [cursor] of an earlier subscription: go on from there
 * @property {number} [queueSize] entries kept for a loop that is too slow
 * @property {string} [id] the name of the subscription; made up if absent
 *
 * @typedef {FeatureConditions & FeaturePresentation} FeatureOptions
 *
 * @typedef {SubscriptionEvents & {change: Change, changes: Change[]}} FeatureEvents
 */

/** @param {FeatureConditions} conditions @returns {Record<string, any>} */
function toWire(conditions) {
  const known = Object.entries(conditions).filter(([name, value]) => name in CONDITIONS && value !== undefined);
  /** @type {Record<string, any>} */
  const wire = Object.fromEntries(known.map(([name, value]) => [CONDITIONS[name], value]));
  if (wire.filters && !Array.isArray(wire.filters)) {
    wire.filters = Object.entries(wire.filters).map(([key, value]) => [key, String(value)]);
  }
  return wire;
}

/** @extends {Subscription<FeatureEvents, Change & {gap?: number}>} */
export class FeatureSubscription extends Subscription {
  #collection;
  #replacing = false;
  /** From a delta that does not fit until the whole state is granted. */
  #renewing = false;
  #delta;
  /** @internal @type {{batch?: boolean, snapshot?: boolean}} */
  presentation;

  /** @param {string} id @param {Channel} channel @param {string | null} layer @param {FeatureOptions} [options] */
  constructor(id, channel, layer, options = {}) {
    super(id, channel, { perLayer: layer === null, cursor: options.cursor, queueSize: options.queueSize });
    this.layer = layer;
    /** Of an aggregate: how many features the cells in view held together when the server last answered. @type {number | null} */
    this.matched = null;
    /** Of an aggregate: what the server has taken, with its resolution. @type {Aggregate | null} */
    this.aggregate = null;
    this.conditions = toWire(options);
    this.presentation = Object.fromEntries(Object.entries(options).filter(([name]) => name === "batch" || name === "snapshot"));
    const complete = !options.cursor && options.snapshot !== false; // else there are features that are not held here
    this.#delta = options.delta === true && complete;
    this.#collection = new Collection(layer === null);
  }

  /** The features that match now, by id (of all layers: by the JSON text of `[layer, id]`). @returns {Map<string | number, Feature>} */
  get features() {
    return this.#collection.features;
  }

  /** How many features the whole state has that is being sent, or was; null before the server has said so. @type {number | null} */
  announced = null;

  /**
   * The feature of this id.
   * @param {string | number} id @param {string} [layer] needed in a subscription to all layers @returns {Feature | undefined}
   */
  get(id, layer) {
    return this.features.get(this.#collection.key(id, layer));
  }

  /**
   * Change conditions; those not named stay, null removes one. The server sends only the difference.
   * @param {FeatureConditions} conditions
   */
  update(conditions) {
    const wire = toWire(conditions);
    this.conditions = { ...this.conditions, ...wire };
    this.position.forget();
    this.ask("update", { type: "update_subscription", subscription_id: this.id, ...wire }, wire);
  }

  /** @internal */
  request() {
    const delta = this.#delta ? { delta: ["merge-patch"] } : {};
    return { type: "subscribe_features", bbox: null, filters: null, layer: this.layer, ...this.presentation, ...delta, ...this.conditions };
  }

  /** @internal @param {Kind} kind @param {Ack} ack */
  begin(kind, ack) {
    this.matched = ack.matched ?? null;
    this.aggregate = ack.aggregate ?? null;
    const wholeState = kind === "subscribe" && ack.recovered !== true && typeof ack.snapshot_count === "number";
    const withheld = this.presentation.snapshot === false && !this.resumed;
    if (kind === "subscribe") this.#renewing = false;
    if (!wholeState || withheld) return;
    this.announced = ack.snapshot_count ?? null;
    this.#replacing = true;
    this.#collection.beginReplacement();
  }

  /** @internal @param {FeatureData} message */
  receive(message) {
    if (this.closed || this.#renewing) return;
    const applied = this.#apply(message);
    if (!applied) return;
    const { count, changes } = applied;
    const complete = this.position.received(count, message.cursor, message.layer);
    if (complete) changes.push(...this.#replaced());
    this.#publish(changes);
    if (complete) super.settled({ count });
  }

  /** @internal @param {Ready} ack */
  settled(ack) {
    this.#publish(this.#replaced());
    super.settled(ack);
  }

  /** @internal */
  lost() {
    super.lost();
    this.#replacing = false;
    this.#collection.abandonReplacement();
  }

  /** @param {FeatureData} message @returns {{count: number, changes: Change[]} | null} */
  #apply(message) {
    try {
      return this.#collection.apply(message);
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      this.#renew();
      return null;
    }
  }

  /** Subscribe anew, without deltas from now on: what was sent does not fit what is held, so the whole state has to come. */
  #renew() {
    this.#delta = false;
    this.#renewing = true;
    this.position.forget();
    if (this.ask("pause", { type: "unsubscribe", subscription_id: this.id })) this.open();
  }

  #replaced() {
    if (!this.#replacing) return [];
    this.#replacing = false;
    return this.#collection.finishReplacement();
  }

  /** @param {Change[]} changes */
  #publish(changes) {
    if (changes.length === 0) return;
    for (const change of changes) {
      this.emit("change", change);
      this.enqueue(change);
    }
    this.emit("changes", changes);
  }
}
