/**
 * The client of the geo protocol: one connection, any number of subscriptions. Subscriptions belong to the client, not to the
 * connection: whatever happens to the network, they are asked for again and continue where they were.
 */
import { Codec, loadModule } from "./codecs.js";
import { DetailTarget } from "./detail-target.js";
import { HeldDictionaries } from "./dictionaries.js";
import { GeoStreamError } from "./errors.js";
import { EventSubscription } from "./event-subscription.js";
import { FeatureSubscription } from "./feature-subscription.js";
import { Heartbeat } from "./heartbeat.js";
import { Link } from "./link.js";
import { TileNoticeSubscription } from "./tile-notice-subscription.js";
import { TileSubscription } from "./tile-subscription.js";

/** @import { BackoffOptions } from "./backoff.js" */
/** @import { Fzstd, ModuleSource, Msgpack } from "./codecs.js" */
/** @import { EventOptions } from "./event-subscription.js" */
/** @import { FeatureOptions } from "./feature-subscription.js" */
/** @import { State, StateChange, WebSocketClass } from "./link.js" */
/** @import { Ack, EventType, LayerDictionary, SubscriptionInfo } from "./messages.js" */
/** @import { Channel, Subscription } from "./subscription.js" */
/** @import { TileNoticeOptions } from "./tile-notice-subscription.js" */
/** @import { TileOptions } from "./tile-subscription.js" */

const VERSION = 1;
const UNAUTHENTICATED = 4401;
/** @satisfies {ClientOptions} */
const DEFAULTS = {
  format: /** @type {"Json" | "MessagePack"} */ ("Json"),
  compression: /** @type {"None" | "Zstd"} */ ("None"),
  backoff: { initial: 500, max: 30_000 },
  connectTimeout: 10_000,
  stableAfter: 5_000,
  pingInterval: 15_000,
  pingTimeout: 10_000,
};

/**
 * @typedef {object} ClientOptions
 * @property {"Json" | "MessagePack"} [format]
 * @property {"None" | "Zstd"} [compression]
 * @property {boolean} [dictionaries] have small messages of features compressed with the zstd dictionary of their layer, which is fetched
 *   over HTTP; needs `fzstd`
 * @property {string} [token] a JWT, sent as an `authenticate` message
 * @property {() => string | Promise<string>} [getToken] asked before every connection and every fetch; wins over `token`
 * @property {() => string | Promise<string>} [getTicket] a one-time ticket, asked before every connection
 * @property {WebSocketClass} [WebSocket] the class to use (Node before version 22 has none of its own)
 * @property {ModuleSource<Msgpack> | null} [msgpack] `@msgpack/msgpack`, its URL, or a function that loads it; needed for MessagePack
 * @property {ModuleSource<Fzstd> | null} [fzstd] `fzstd`, in the same ways; needed for Zstd, and for zstd deltas of tiles
 * @property {BackoffOptions} [backoff] milliseconds
 * @property {number} [connectTimeout] milliseconds until a connection that does not answer is given up
 * @property {number} [stableAfter] milliseconds after which a connection is good enough to forget earlier failures
 * @property {number} [pingInterval] milliseconds
 * @property {number} [pingTimeout] milliseconds of silence after a ping that mean "dead"
 *
 * @typedef {object} ClientEvents by name, what `detail` holds
 * @property {StateChange} state
 * @property {{code: number, reason: string}} closed the server will not have this client back unchanged, or `close()` was called
 * @property {number} latency the round trip in milliseconds
 * @property {GeoStreamError} error
 *
 * @typedef {FeatureSubscription | TileSubscription | TileNoticeSubscription | EventSubscription} AnySubscription
 */

/**
 * Events (`CustomEvent`, value in `detail`): `state`, `closed`, `latency`, `error`; see {@link ClientEvents}.
 * @extends {DetailTarget<ClientEvents>}
 */
export class GeoStreamClient extends DetailTarget {
  #options;
  /** Made anew for every connection. */
  #codec = new Codec(DEFAULTS);
  #link;
  #heartbeat;
  /** @type {Map<string, Subscription<any, any>>} */
  #subscriptions = new Map();
  /** @type {Map<string, {resolve: (answer: any) => void, reject: (error: GeoStreamError) => void}>} */
  #waiting = new Map();
  #counters = { subscription: 0, request: 0 };
  #admitted = false;
  #mayRenew = true;
  /** @type {Promise<Fzstd | null> | null} */
  #zstd = null;
  /** @type {HeldDictionaries | null} */
  #dictionaries = null;
  /** What went over the wire so far. */
  stats = { messages: 0, bytes: 0, connections: 0 };
  /** The latest round trip in milliseconds. @type {number | undefined} */
  latency;

  /** @param {string | URL} url absolute, or relative to the page @param {ClientOptions} [options] */
  constructor(url, options = {}) {
    super();
    this.#options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...options };
    if (!this.#options.WebSocket) throw new TypeError("there is no WebSocket here; pass the option WebSocket");
    this.url = new URL(url, globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    if (this.#options.dictionaries)
      this.#dictionaries = new HeldDictionaries(
        this.url,
        () => (this.#zstd ??= this.#loadZstd()),
        () => this.#token(),
      );
    this.#link = this.#makeLink();
    this.#heartbeat = new Heartbeat({
      interval: this.#options.pingInterval,
      timeout: this.#options.pingTimeout,
      send: (id) => this.#send({ type: "ping", id }),
      dead: () => this.#link.drop("the server did not answer a ping"),
      latency: (ms) => this.#emit("latency", (this.latency = ms)),
    });
  }

  /** @returns {State} */
  get state() {
    return this.#link.state;
  }

  /**
   * Connect. Resolves when the connection is open for the first time; rejects if the server refuses this client for good.
   * @returns {Promise<void>}
   */
  connect() {
    /** @type {Promise<void>} */
    const opened = new Promise((resolve, reject) => {
      /** @param {CustomEvent<StateChange>} event */
      const watch = ({ detail }) => {
        if (detail.state !== "open" && detail.state !== "closed") return;
        this.removeEventListener("state", watch);
        if (detail.state === "open") resolve();
        else reject(new GeoStreamError("closed", detail.reason || `closed with code ${detail.code}`));
      };
      this.addEventListener("state", watch);
    });
    opened.catch(() => {}); // also told by the `closed` event
    if (this.state === "open") return Promise.resolve();
    this.#link.start();
    return opened;
  }

  /** While it is reconnecting, or was closed: try again now. */
  retry() {
    this.#link.retry();
  }

  /** Close for good; `connect()` starts again, with the same subscriptions. */
  close() {
    this.#link.close();
  }

  /**
   * Follow a layer, or with null every readable layer. Before or after `connect()`.
   * @param {string | null} layer @param {FeatureOptions} [options] @returns {FeatureSubscription}
   */
  subscribeFeatures(layer, options = {}) {
    const id = options.id ?? `features-${++this.#counters.subscription}`;
    return this.#register(new FeatureSubscription(id, this.#channel(), layer, options));
  }

  /** Follow the tiles of a box. @param {TileOptions} options @returns {TileSubscription} */
  subscribeTiles(options) {
    const id = options.id ?? `tiles-${++this.#counters.subscription}`;
    return this.#register(new TileSubscription(id, this.#channel(), options, () => (this.#zstd ??= this.#loadZstd())));
  }

  /**
   * Be told which tiles have changed, to fetch them over HTTP.
   * @param {TileNoticeOptions} [options] @returns {TileNoticeSubscription}
   */
  subscribeTileNotices(options = {}) {
    const id = options.id ?? `tile-notices-${++this.#counters.subscription}`;
    return this.#register(new TileNoticeSubscription(id, this.#channel(), options));
  }

  /** Follow events of these types. @param {readonly EventType[]} types @param {EventOptions} [options] @returns {EventSubscription} */
  subscribeEvents(types, options = {}) {
    const id = options.id ?? `events-${++this.#counters.subscription}`;
    return this.#register(new EventSubscription(id, this.#channel(), types, options));
  }

  /** End a subscription, given itself or its id; an unknown one is ended already. @param {AnySubscription | string} subscription */
  async unsubscribe(subscription) {
    await this.#subscriptions.get(typeof subscription === "string" ? subscription : subscription.id)?.unsubscribe();
  }

  /** @returns {Promise<number>} the round trip in milliseconds */
  ping() {
    if (this.state !== "open") return Promise.reject(new GeoStreamError("connection_lost", "there is no connection"));
    return this.#heartbeat.ping();
  }

  /** What the server knows of this connection's subscriptions. @returns {Promise<SubscriptionInfo[]>} */
  async listSubscriptions() {
    return (await this.#ask("list_subscriptions", {})).subscriptions;
  }

  /** Log in, or renew the token. Later connections use it too. @param {string} token @returns {Promise<void>} */
  async authenticate(token) {
    this.#options.token = token;
    await this.#ask("authenticate", { token });
  }

  #makeLink() {
    return new Link(this.#options, {
      address: () => this.#address(),
      connected: () => this.#shakeHands(),
      frame: (data) => this.#frame(data),
      lost: () => this.#lost(),
      awake: () => this.#heartbeat.check(),
      mayRetry: (code) => this.#mayRetry(code),
      state: (detail) => {
        this.#emit("state", detail);
        if (detail.state === "closed") this.#emit("closed", { code: detail.code, reason: detail.reason });
      },
    });
  }

  async #address() {
    this.#codec = new Codec(this.#options, this.#dictionaries);
    await this.#codec.load();
    if (!this.#options.getTicket) return this.url.href;
    const url = new URL(this.url);
    url.searchParams.set("ticket", await this.#options.getTicket());
    return url.href;
  }

  #shakeHands() {
    const { format, compression } = this.#options;
    this.#send({ type: "handshake", version: VERSION, format, compression });
  }

  /** @param {{format: string}} ack */
  async #established({ format }) {
    this.#codec.format = format;
    this.stats.connections += 1;
    this.#link.established();
    this.#heartbeat.start();
    const connection = this.stats.connections;
    await this.#useDictionaries();
    await this.#logIn();
    if (this.state !== "open" || connection !== this.stats.connections) return;
    this.#admitted = true;
    for (const subscription of [...this.#subscriptions.values()]) subscription.open();
  }

  async #useDictionaries() {
    if (this.#dictionaries && (await this.#dictionaries.ready())) this.#send({ type: "use_dictionaries", ids: this.#dictionaries.ids });
  }

  /** @param {LayerDictionary} offered */
  async #takeDictionary(offered) {
    try {
      await this.#dictionaries?.take(offered);
      await this.#useDictionaries();
    } catch (error) {
      this.#emit("error", new GeoStreamError("no_dictionary", `the dictionary ${offered.url} cannot be used: ${error.message}`));
    }
  }

  #token() {
    return this.#options.getToken ? this.#options.getToken() : this.#options.token;
  }

  async #logIn() {
    try {
      const token = await this.#token();
      if (token) await this.#ask("authenticate", { token });
      this.#mayRenew = true;
    } catch (error) {
      if (error.code !== "connection_lost") this.#emit("error", error); // public layers can still be followed
    }
  }

  /** A refused login is worth another try only with something new to show. @param {number} code */
  #mayRetry(code) {
    const renewable = code === UNAUTHENTICATED && (this.#options.getToken || this.#options.getTicket) && this.#mayRenew;
    this.#mayRenew = false;
    return Boolean(renewable);
  }

  #lost() {
    this.#admitted = false;
    this.#heartbeat.stop();
    for (const { reject } of this.#waiting.values()) reject(new GeoStreamError("connection_lost", "the connection was lost"));
    this.#waiting.clear();
    for (const subscription of this.#subscriptions.values()) subscription.lost();
  }

  /** @template {AnySubscription} Kind @param {Kind} subscription @returns {Kind} */
  #register(subscription) {
    if (this.#subscriptions.has(subscription.id))
      throw new GeoStreamError("duplicate_subscription", `there is a subscription "${subscription.id}"`);
    this.#subscriptions.set(subscription.id, subscription);
    if (this.#admitted) subscription.open();
    return subscription;
  }

  /** Null if there is none: then nothing is asked for that needs it. @returns {Promise<Fzstd | null>} */
  async #loadZstd() {
    if (!this.#options.fzstd) return null;
    try {
      return await loadModule(this.#options.fzstd, "fzstd");
    } catch (error) {
      this.#emit("error", new GeoStreamError("no_module", `fzstd could not be loaded: ${error.message}`));
      return null;
    }
  }

  /** @returns {Channel} */
  #channel() {
    const format = () => this.#codec.format;
    return {
      get format() {
        return format();
      },
      send: (message) => this.#admitted && this.#send(message),
      forget: (id) => this.#subscriptions.delete(id),
    };
  }

  /** @param {string} type @param {object} fields @returns {Promise<any>} */
  #ask(type, fields) {
    const request_id = `${type}-${++this.#counters.request}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(request_id, { resolve, reject });
      if (this.#send({ type, ...fields, request_id })) return;
      this.#waiting.delete(request_id);
      reject(new GeoStreamError("connection_lost", "there is no connection"));
    });
  }

  /** @param {object} message */
  #send(message) {
    return this.#link.send(this.#codec.encode(message));
  }

  /** @param {string | ArrayBuffer} data */
  #frame(data) {
    this.#heartbeat.heard();
    this.stats.messages += 1;
    this.stats.bytes += typeof data === "string" ? data.length : data.byteLength;
    const message = this.#decode(data);
    if (message) this.#receive(message);
  }

  /** @param {string | ArrayBuffer} data */
  #decode(data) {
    try {
      return this.#codec.decode(data);
    } catch (error) {
      this.#emit("error", new GeoStreamError("bad_frame", `a frame could not be read: ${error.message}`));
      return null;
    }
  }

  /** @param {any} message */
  #receive(message) {
    switch (message.type) {
      case "handshake_ack":
        return void this.#established(message);
      case "feature_data":
      case "event":
      case "tile_data":
      case "tiles_ready":
      case "tiles_changed":
        return this.#subscriptions.get(message.subscription_id)?.receive(message);
      case "layer_dictionary":
        return void this.#takeDictionary(message);
      case "ack":
        return this.#acknowledge(message);
      case "subscriptions":
        return this.#settle(message.request_id, message);
      case "ping":
        return void this.#send({ type: "pong", id: message.id });
      case "pong":
        return this.#heartbeat.pong(Number(message.id));
      case "error":
        return this.#reportError(message);
    }
  }

  /** @param {Ack} ack */
  #acknowledge(ack) {
    if (this.#waiting.has(ack.request_id)) this.#settle(ack.request_id, ack);
    else this.#subscriptions.get(ack.request_id)?.acknowledge(ack);
  }

  /** @param {string} id @param {any} answer */
  #settle(id, answer) {
    const request = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (answer.success === false) request?.reject(new GeoStreamError(answer.code ?? "refused", answer.message ?? "refused"));
    else request?.resolve(answer);
  }

  /** @param {{code: string, message: string, request_id: string}} error */
  #reportError({ code, message, request_id: id }) {
    const error = new GeoStreamError(String(code), message);
    if (this.#waiting.has(id)) return this.#settle(id, { success: false, code, message });
    const subscription = this.#subscriptions.get(id);
    if (subscription) subscription.emit("error", error);
    else this.#emit("error", error);
  }

  /** @template {keyof ClientEvents} Name @param {Name} type @param {ClientEvents[Name]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
