/**
 * What subscriptions to features, tiles and events share: the order of requests and acks, refusals, resubscribing, and
 * async iteration. Requests of one subscription are acked in the order in which they were sent.
 */
import { Backoff } from "./backoff.js";
import { DetailTarget } from "./detail-target.js";
import { GeoStreamError } from "./errors.js";
import { Position } from "./position.js";
import { BoundedQueue } from "./queue.js";

/** @import { Ack, Cursor } from "./messages.js" */

/**
 * @typedef {Partial<Ack> & {count?: number}} Ready the ack, or `count`, how many features the last message had
 *
 * @typedef {object} SubscriptionEvents by name, what `detail` holds
 * @property {Ready} ready what was announced has arrived completely
 * @property {GeoStreamError} error the server refused something
 *
 * @typedef {object} Channel what a subscription has of its client
 * @property {string} format
 * @property {(message: object) => boolean} send
 * @property {(id: string) => void} forget
 *
 * @typedef {"subscribe" | "update" | "unsubscribe" | "pause"} Kind of a request
 */

/** Refusals that may be over in a moment; a subscription outlives them. */
const PASSING = new Set(["rate_limited", "redis_unavailable", "internal", "too_many_connections"]);

/**
 * @template {SubscriptionEvents} Events
 * @template {{gap?: number | null}} Entry what is iterated over
 * @extends {DetailTarget<Events>}
 */
export class Subscription extends DetailTarget {
  /** The requests whose acks are still to come, oldest first. @type {{kind: Kind, conditions: Record<string, any>}[]} */
  #requests = [];
  /** @type {Set<BoundedQueue<Entry>>} */
  #queues = new Set();
  /** @type {Record<string, any> | null} */
  #accepted = null;
  #ready = withResolvers();
  #gone = withResolvers();
  #backoff = new Backoff();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @internal @type {Channel} */
  channel;
  /** @internal @type {Position} */
  position;
  /** What is asked for, in the words of the protocol. @internal @type {Record<string, any>} */
  conditions = {};
  /** Whether the latest request named a cursor. @internal */
  resumed = false;

  /**
   * @param {string} id
   * @param {Channel} channel
   * @param {{perLayer: boolean, cursor?: Cursor | null, queueSize?: number}} options
   */
  constructor(id, channel, { perLayer, cursor = null, queueSize = 10_000 }) {
    super();
    /** Its name in the connection. */
    this.id = id;
    this.channel = channel;
    /** Entries kept for a loop that is too slow. */
    this.queueSize = queueSize;
    this.position = new Position(perLayer, cursor);
    /** Whether it has ended, refused or unsubscribed. */
    this.closed = false;
    this.#ready.promise.catch(() => {}); // whoever does not ask is told by the `error` event
  }

  /** The cursor to resume from: a string (of all layers an object), or null while there is none. */
  get cursor() {
    return this.position.cursor;
  }

  /** Whether there is a request whose ack is still to come. @internal */
  get awaiting() {
    return this.#requests.length > 0;
  }

  /** Resolves when the first snapshot has arrived completely; rejects if the subscription is refused or ended. @returns {Promise<void>} */
  whenReady() {
    return this.#ready.promise;
  }

  /** End the subscription. Resolves when the server has confirmed it; until then its id is taken. @returns {Promise<void>} */
  unsubscribe() {
    if (!this.closed) {
      this.#end(new GeoStreamError("closed", "the subscription was ended"));
      if (!this.ask("unsubscribe", { type: "unsubscribe", subscription_id: this.id })) this.#forget();
    }
    return this.#gone.promise;
  }

  /** Entries in the order in which they arrived. Stops when the subscription ends. @returns {AsyncIterableIterator<Entry>} */
  [Symbol.asyncIterator]() {
    /** @type {BoundedQueue<Entry>} */
    const queue = new BoundedQueue(this.queueSize, () => this.#queues.delete(queue));
    if (this.closed) queue.end();
    else this.#queues.add(queue);
    return queue;
  }

  /** What to ask the server for. @internal @returns {object} */
  request() {
    return this.conditions;
  }

  /** A request was granted. @internal @param {Kind} kind @param {Ack} ack @param {Record<string, any>} conditions those that hold now */
  begin(kind, ack, conditions) {}

  /** A message for this subscription arrived. @internal @param {any} message */
  receive(message) {}

  /** The connection is open: ask (again) for everything. @internal @returns {void | Promise<void>} */
  open() {
    if (this.closed) return;
    this.resumed = this.cursor !== null;
    const message = { ...this.request(), subscription_id: this.id, ...(this.resumed && { cursor: this.cursor }) };
    this.ask("subscribe", message, this.conditions);
  }

  /** The connection was lost. @internal */
  lost() {
    clearTimeout(this.#retry);
    this.#requests = [];
    this.position.lost();
    if (this.closed) this.#forget();
  }

  /**
   * Send a request whose ack will follow (that of a "pause" says nothing: what matters follows it).
   * @internal @param {Kind} kind @param {object} message @param {Record<string, any>} [conditions]
   * @returns {boolean} whether there was a connection
   */
  ask(kind, message, conditions = {}) {
    if (!this.channel.send(message)) return false;
    this.#requests.push({ kind, conditions });
    this.position.requested();
    return true;
  }

  /** @internal @param {Ack} ack */
  acknowledge(ack) {
    const request = this.#requests.shift();
    if (request?.kind === "unsubscribe") this.#forget();
    else if (request?.kind === "pause") this.position.refused(); // it gives no position
    else if (request && !this.closed) this.#answer(request, ack);
  }

  /** @param {{kind: Kind, conditions: Record<string, any>}} request @param {Ack} ack */
  #answer(request, ack) {
    if (ack.success === false) {
      this.#refuse(request, new GeoStreamError(ack.code ?? "refused", ack.message ?? "the request was refused", request.conditions));
      return;
    }
    this.#backoff.reset();
    this.#accepted = request.kind === "subscribe" ? request.conditions : { ...this.#accepted, ...request.conditions };
    this.begin(request.kind, ack, this.#accepted);
    if (this.position.acknowledged(ack)) this.settled(ack);
  }

  /** @param {{kind: Kind, conditions: Record<string, any>}} request @param {GeoStreamError} error */
  #refuse(request, error) {
    this.position.refused();
    if (request.kind === "update") this.conditions = this.#stillWanted();
    else if (PASSING.has(error.code)) this.#retry = setTimeout(() => this.open(), this.#backoff.next());
    else if (this.#accepted && this.#accepted !== request.conditions) this.#fallBack();
    else this.finish(error);
    this.emit("error", /** @type {any} */ (error));
  }

  /** What holds, and what was asked since. */
  #stillWanted() {
    return this.#requests.reduce((conditions, later) => ({ ...conditions, ...later.conditions }), this.#accepted ?? {});
  }

  /** Conditions that were changed without a connection turn out to be refused: go back to those that were not. */
  #fallBack() {
    this.conditions = this.#accepted ?? {};
    this.open();
  }

  /** Everything an ack announced has arrived. @internal @param {Ready} detail */
  settled(detail) {
    this.#ready.resolve();
    this.emit("ready", /** @type {any} */ (detail));
  }

  /** The server will not have this subscription. @internal @param {GeoStreamError} error */
  finish(error) {
    if (this.closed) return;
    this.#end(error);
    this.#forget();
  }

  /** @param {GeoStreamError} error */
  #end(error) {
    this.closed = true;
    clearTimeout(this.#retry);
    this.#ready.reject(error);
    for (const queue of this.#queues) queue.end();
    this.#queues.clear();
  }

  #forget() {
    this.channel.forget(this.id);
    this.#gone.resolve();
  }

  /** @internal @template {keyof Events & string} Name @param {Name} type @param {Events[Name]} detail */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @internal @param {Entry} entry */
  enqueue(entry) {
    for (const queue of this.#queues) queue.push(entry);
  }
}

/** @returns {{promise: Promise<void>, resolve: () => void, reject: (error: GeoStreamError) => void}} */
function withResolvers() {
  const parts = /** @type {any} */ ({});
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
