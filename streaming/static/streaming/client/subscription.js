/**
 * What subscriptions to features, tiles and events share: the order of requests and acks, refusals, resubscribing, and
 * async iteration. Requests of one subscription are acked in the order in which they were sent.
 */
import { Backoff } from "./backoff.js";
import { GeoStreamError } from "./errors.js";
import { Position } from "./position.js";
import { BoundedQueue } from "./queue.js";

/** Refusals that may be over in a moment; a subscription outlives them. */
const PASSING = new Set(["rate_limited", "redis_unavailable", "internal", "too_many_connections"]);

export class Subscription extends EventTarget {
  /** The requests whose acks are still to come, oldest first. */
  #requests = [];
  #queues = new Set();
  #accepted = null;
  #ready = withResolvers();
  #gone = withResolvers();
  #backoff = new Backoff();
  #retry = null;

  /**
   * @param {string} id
   * @param {{send: (message: object) => boolean, forget: (id: string) => void}} channel
   * @param {{perLayer: boolean, cursor?: unknown, queueSize?: number}} options
   */
  constructor(id, channel, { perLayer, cursor = null, queueSize = 10_000 }) {
    super();
    this.id = id;
    this.channel = channel;
    this.queueSize = queueSize;
    this.position = new Position(perLayer, cursor);
    this.closed = false;
    this.#ready.promise.catch(() => {}); // whoever does not ask is told by the `error` event
  }

  /** The cursor to resume from: a string (of all layers an object), or null while there is none. */
  get cursor() {
    return this.position.cursor;
  }

  /** Whether there is a request whose ack is still to come. */
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

  /** Entries in the order in which they arrived. Stops when the subscription ends. */
  [Symbol.asyncIterator]() {
    const queue = new BoundedQueue(this.queueSize, () => this.#queues.delete(queue));
    if (this.closed) queue.end();
    else this.#queues.add(queue);
    return queue;
  }

  /** The connection is open: ask (again) for everything. */
  open() {
    if (this.closed) return;
    this.resumed = this.cursor !== null;
    const message = { ...this.request(), subscription_id: this.id, ...(this.resumed && { cursor: this.cursor }) };
    this.ask("subscribe", message, this.conditions);
  }

  /** The connection was lost. */
  lost() {
    clearTimeout(this.#retry);
    this.#requests = [];
    this.position.lost();
    if (this.closed) this.#forget();
  }

  /** Send a request whose ack will follow (that of a "pause" says nothing: what matters follows it). @returns {boolean} whether there was a connection */
  ask(kind, message, conditions = {}) {
    if (!this.channel.send(message)) return false;
    this.#requests.push({ kind, conditions });
    this.position.requested();
    return true;
  }

  acknowledge(ack) {
    const request = this.#requests.shift();
    if (request?.kind === "unsubscribe") this.#forget();
    else if (request && request.kind !== "pause" && !this.closed) this.#answer(request, ack);
  }

  #answer(request, ack) {
    if (ack.success === false) {
      this.#refuse(request, new GeoStreamError(ack.code ?? "refused", ack.message ?? "the request was refused"));
      return;
    }
    this.#backoff.reset();
    this.#accepted = request.kind === "subscribe" ? request.conditions : { ...this.#accepted, ...request.conditions };
    this.begin(request.kind, ack, this.#accepted);
    if (this.position.acknowledged(ack)) this.settled(ack);
  }

  #refuse(request, error) {
    this.position.refused();
    if (request.kind === "update") this.conditions = this.#stillWanted();
    else if (PASSING.has(error.code)) this.#retry = setTimeout(() => this.open(), this.#backoff.next());
    else if (this.#accepted && this.#accepted !== request.conditions) this.#fallBack();
    else this.finish(error);
    this.emit("error", error);
  }

  /** What holds, and what was asked since. */
  #stillWanted() {
    return this.#requests.reduce((conditions, later) => ({ ...conditions, ...later.conditions }), this.#accepted);
  }

  /** Conditions that were changed without a connection turn out to be refused: go back to those that were not. */
  #fallBack() {
    this.conditions = this.#accepted;
    this.open();
  }

  /** Everything an ack announced has arrived. */
  settled(detail) {
    this.#ready.resolve();
    this.emit("ready", detail);
  }

  /** The server will not have this subscription. @param {GeoStreamError} error */
  finish(error) {
    if (this.closed) return;
    this.#end(error);
    this.#forget();
  }

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

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  enqueue(entry) {
    for (const queue of this.#queues) queue.push(entry);
  }
}

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
