/**
 * The life of the WebSocket: dialling, noticing that it is gone, and coming back. Knows no protocol message.
 *
 * States: `connecting` → `open` → `reconnecting` (waiting until `retryAt`) → `connecting` …, and `closed`, which is final
 * until `start()` is called again. A close code 44xx is final unless the owner has something new to offer.
 */
import { Backoff } from "./backoff.js";

/** @import { BackoffOptions } from "./backoff.js" */

/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} State
 *
 * @typedef {{state: "connecting", attempt: number} | {state: "open"} | {state: "closed", code: number, reason: string}
 *   | {state: "reconnecting", delay: number, retryAt: number, attempt: number, code: number, reason: string}} StateChange `delay` in
 *   milliseconds, `retryAt` as of `Date.now()`; `code` and `reason` say how the connection before ended
 *
 * @typedef {object} SocketLike what is used of a WebSocket
 * @property {string} binaryType
 * @property {number} readyState
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onerror
 * @property {((event: any) => void) | null} onclose
 * @property {(data: any) => void} send
 * @property {(code?: number, reason?: string) => void} close
 *
 * @typedef {new (url: string) => SocketLike} WebSocketClass the browser's, or `ws`
 */

/** @param {number} code */
const PERMANENT = (code) => code >= 4400 && code <= 4499;

export class Link {
  #handlers;
  #settings;
  #backoff;
  /** @type {SocketLike | null} */
  #socket = null;
  #dialling = 0;
  /** @type {Record<"connect" | "stable" | "retry", ReturnType<typeof setTimeout> | undefined>} */
  #timers = { connect: undefined, stable: undefined, retry: undefined };
  #unwatch = () => {};
  /** @type {State} */
  state = "closed";

  /**
   * @param {{WebSocket: WebSocketClass, backoff: BackoffOptions, connectTimeout: number, stableAfter: number}} settings
   * @param {{address: () => Promise<string>, connected: () => void, frame: (data: string | ArrayBuffer) => void,
   *   state: (detail: StateChange) => void, lost: () => void, mayRetry: (code: number) => boolean, awake: () => void}} handlers
   */
  constructor(settings, handlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#backoff = new Backoff(settings.backoff);
  }

  start() {
    if (this.state !== "closed") return;
    this.#watchPage();
    this.#dial();
  }

  /** The peer speaks the protocol: this connection counts as open. */
  established() {
    clearTimeout(this.#timers.connect);
    this.#timers.stable = setTimeout(() => this.#backoff.reset(), this.#settings.stableAfter);
    this.#enter({ state: "open" });
  }

  /** @param {string | Uint8Array} data @returns {boolean} whether there was a connection to send on */
  send(data) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(data);
    return true;
  }

  /** Do not wait any longer before the next attempt, and start over if the last one was final. */
  retry() {
    if (this.state === "reconnecting") this.#dial();
    else this.start();
  }

  /** Give the connection up as dead and dial again. @param {string} reason */
  drop(reason) {
    this.#abandon();
    this.#lost(1006, reason);
  }

  /** Close for good. */
  close(code = 1000, reason = "") {
    this.#dialling += 1;
    this.#clearTimers();
    this.#unwatch();
    this.#abandon(code, reason);
    if (this.state === "closed") return;
    this.#handlers.lost();
    this.#enter({ state: "closed", code, reason });
  }

  async #dial() {
    const dialling = ++this.#dialling;
    this.#clearTimers();
    this.#enter({ state: "connecting", attempt: this.#backoff.attempt });
    this.#timers.connect = setTimeout(() => this.drop("the server did not answer in time"), this.#settings.connectTimeout);
    try {
      const address = await this.#handlers.address();
      if (dialling === this.#dialling) this.#open(address);
    } catch (error) {
      if (dialling === this.#dialling) this.#lost(1006, String(error?.message ?? error));
    }
  }

  /** @param {string} address */
  #open(address) {
    const socket = new this.#settings.WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#handlers.connected();
    socket.onmessage = ({ data }) => this.#handlers.frame(data);
    socket.onerror = () => {}; // a close event always follows
    socket.onclose = ({ code, reason }) => {
      this.#socket = null;
      this.#lost(code, reason);
    };
    this.#socket = socket;
  }

  #abandon(code = 1000, reason = "") {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    this.#dialling += 1;
    this.#clearTimers();
    if (PERMANENT(code) && !this.#handlers.mayRetry(code)) {
      this.#unwatch();
      this.#handlers.lost();
      this.#enter({ state: "closed", code, reason });
      return;
    }
    this.#handlers.lost();
    const delay = this.#backoff.next();
    this.#timers.retry = setTimeout(() => this.#dial(), delay);
    this.#enter({ state: "reconnecting", delay, retryAt: Date.now() + delay, attempt: this.#backoff.attempt, code, reason });
  }

  /** @param {StateChange} change */
  #enter(change) {
    this.state = change.state;
    this.#handlers.state(change);
  }

  #clearTimers() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  /** Someone looks at the page again, or the network is back: do not wait for the countdown, and do not trust an old connection. */
  #watchPage() {
    const wake = () => {
      if (globalThis.document?.visibilityState === "hidden") return;
      if (this.state === "reconnecting") this.#dial();
      else if (this.state === "open") this.#handlers.awake();
    };
    globalThis.addEventListener?.("online", wake);
    globalThis.document?.addEventListener("visibilitychange", wake);
    this.#unwatch = () => {
      globalThis.removeEventListener?.("online", wake);
      globalThis.document?.removeEventListener("visibilitychange", wake);
    };
  }
}
