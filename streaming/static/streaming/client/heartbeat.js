/**
 * Notices a connection that is dead without having been closed (a sleeping laptop, a lost network): pings at an interval, and
 * calls it dead when *nothing* arrived within the timeout. Data counts as life: a pong may wait behind a large snapshot.
 */
import { GeoStreamError } from "./errors.js";

export class Heartbeat {
  #nextId = 1;
  /** @type {Map<number, {resolve: (ms: number) => void, reject: (error: GeoStreamError) => void, sent: number}>} */
  #waiting = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #interval;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;

  /**
   * @param {{interval: number, timeout: number, send: (id: number) => void, dead: () => void, latency: (ms: number) => void}} options
   */
  constructor(options) {
    this.options = options;
  }

  start() {
    this.stop();
    this.#interval = setInterval(() => this.check(), this.options.interval);
    this.check();
  }

  stop() {
    clearInterval(this.#interval);
    this.heard();
    for (const { reject } of this.#waiting.values()) reject(new GeoStreamError("connection_lost", "the connection was lost"));
    this.#waiting.clear();
  }

  /** Ping now, and judge the connection by what comes back. */
  check() {
    this.#deadline ??= setTimeout(() => this.options.dead(), this.options.timeout);
    this.ping().catch(() => {}); // lost: already reported by the connection itself
  }

  /** @returns {Promise<number>} the round trip in milliseconds */
  ping() {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, sent: performance.now() });
      this.options.send(id);
    });
  }

  /** Anything arrived. */
  heard() {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  /** @param {number} id */
  pong(id) {
    const ping = this.#waiting.get(id);
    if (!ping) return;
    this.#waiting.delete(id);
    const elapsed = performance.now() - ping.sent;
    ping.resolve(elapsed);
    this.options.latency(elapsed);
  }
}
