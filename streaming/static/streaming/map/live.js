/**
 * The subscriptions of the page: one per switched-on layer, all with the same conditions (box, polygon, filter), and one to events.
 * Events: `changes` ({layer, changes}), `ready` ({layer}), `refused` ({layer, error, off}), `event`.
 */
import { EVENT_TYPES } from "../geostream.js";
import { countOf } from "./cells.js";

export class Live extends EventTarget {
  /** By layer name. @type {Record<string, import("../geostream.js").FeatureSubscription>} */
  subscriptions = Object.create(null); // a layer may be called `constructor`
  counters = { added: 0, updated: 0, deleted: 0 };
  #client;
  #conditions = { bbox: null, geometry: null, filter: null };
  /** Layers whose features do not have the properties that people filter by. */
  #unfiltered = new Set();
  /** Those that the filter of now is not for. */
  #others = new Set();
  /** What single layers are asked for besides, which goes before what holds for all. @type {Map<string, object>} */
  #own = new Map();
  /** Those whose snapshot has arrived completely. */
  #complete = new Set();

  /** @param {import("../geostream.js").GeoStreamClient} client */
  constructor(client, conditions) {
    super();
    this.#client = client;
    Object.assign(this.#conditions, conditions);
  }

  get conditions() {
    return { ...this.#conditions };
  }

  /** Whether less than everything is asked for. */
  get isNarrowed() {
    return Object.values(this.#conditions).some((condition) => condition !== null);
  }

  get total() {
    return Object.values(this.subscriptions).reduce((sum, { features }) => sum + countOf(features), 0);
  }

  switchOn(name) {
    const subscription = this.#client.subscribeFeatures(name, { ...this.#conditionsOf(name, this.#conditions), batch: true });
    this.subscriptions[name] = subscription;
    const own = (handler) => (event) => this.subscriptions[name] === subscription && handler(event.detail);
    subscription.addEventListener(
      "changes",
      own((changes) => this.#changed(name, changes)),
    );
    subscription.addEventListener(
      "ready",
      own(() => {
        this.#complete.add(name);
        this.#emit("ready", { layer: name });
      }),
    );
    subscription.addEventListener(
      "error",
      own((error) => this.#refused(name, error)),
    );
  }

  async switchOff(name) {
    const subscription = this.subscriptions[name];
    delete this.subscriptions[name];
    this.#complete.delete(name);
    await subscription?.unsubscribe();
  }

  /** Whether all that is there of a layer has arrived; while it has not, it is filling up. */
  isComplete(name) {
    return this.#complete.has(name);
  }

  /** Change some of the conditions, for every layer. @param {object} conditions @param {Iterable<string>} [others] layers that the filter is not for */
  apply(conditions, others = this.#others) {
    this.#others = new Set(others);
    Object.assign(this.#conditions, conditions);
    for (const [name, subscription] of Object.entries(this.subscriptions)) subscription.update(this.#conditionsOf(name, conditions));
  }

  /** What is asked for of one layer besides, such as a box of its own; null: nothing any more. @param {string} name @param {object | null} conditions */
  narrow(name, conditions) {
    if (conditions === null) this.#own.delete(name);
    else this.#own.set(name, conditions);
    if (conditions !== null) this.subscriptions[name]?.update(conditions);
  }

  /** The filter does not apply to this layer. */
  leaveUnfiltered(name) {
    this.#unfiltered.add(name);
    if (this.#conditions.filter) this.subscriptions[name]?.update({ filter: null });
  }

  followEvents() {
    const subscription = this.#client.subscribeEvents([...EVENT_TYPES]);
    subscription.addEventListener("event", ({ detail }) => this.#emit("event", detail));
    return subscription;
  }

  #conditionsOf(name, conditions) {
    const own = this.#own.get(name) ?? {};
    const isFiltered = conditions.filter && !this.#unfiltered.has(name) && !this.#others.has(name);
    return { ...conditions, ...own, ...(conditions.filter && !isFiltered && { filter: null }) };
  }

  #changed(layer, changes) {
    for (const { type } of changes) this.counters[type] += 1;
    this.#emit("changes", { layer, changes });
  }

  /** A condition that cannot be read is given up for the last one that could (the page keeps the text, with the message). */
  #refused(layer, error) {
    const { closed, conditions } = this.subscriptions[layer];
    const given = error.code === "invalid_filter" ? ["filter"] : error.code.startsWith("invalid_") ? ["bbox", "geometry"] : [];
    if (closed) delete this.subscriptions[layer];
    if (closed) for (const each of given) this.#conditions[each] = null;
    else if (given.includes("filter")) this.#conditions.filter = conditions.filter ?? null;
    if (closed && given.some((each) => conditions[each] != null)) this.switchOn(layer); // else it would be refused again, for ever
    this.#emit("refused", { layer, error, off: !(layer in this.subscriptions) });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
