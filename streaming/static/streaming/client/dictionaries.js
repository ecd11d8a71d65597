/**
 * The zstd dictionaries that a client holds: fetched over HTTP from where the server says, and kept from connection to connection. Until
 * one is there, and without it, messages come uncompressed, or as the handshake says; so nothing waits for it.
 */
import { ZstdDictionary } from "./zstd-dictionary.js";

/** @import { Fzstd } from "./codecs.js" */

/** Of each layer: the one in use, and the one before, with which messages may still be on their way. */
const KEPT = 2;

export class HeldDictionaries {
  #url;
  #loadZstd;
  #getToken;
  /** @type {Map<number, ZstdDictionary>} */
  #known = new Map();
  /** @type {Map<string, number[]>} */
  #byLayer = new Map();

  /**
   * @param {URL} url of the WebSocket
   * @param {() => Promise<Fzstd | null>} loadZstd
   * @param {() => string | undefined | Promise<string | undefined>} getToken
   */
  constructor(url, loadZstd, getToken) {
    this.#url = new URL(url);
    this.#url.protocol = this.#url.protocol.replace("ws", "http");
    this.#loadZstd = loadZstd;
    this.#getToken = getToken;
  }

  /** What the server is told. */
  get ids() {
    return [...this.#known.keys()];
  }

  /** Whether there is what decompresses. */
  async ready() {
    return Boolean(await this.#loadZstd());
  }

  /** @param {number} id */
  get(id) {
    return this.#known.get(id);
  }

  /** Fetch a dictionary and hold it. @param {{layer: string, id: number, url: string}} offered @returns {Promise<void>} */
  async take({ layer, id, url }) {
    const dictionary = new ZstdDictionary(await this.#fetch(url), /** @type {Fzstd} */ (await this.#loadZstd()));
    if (dictionary.id !== id) throw new Error("it is another one");
    this.#known.set(id, dictionary);
    const ids = [...(this.#byLayer.get(layer) ?? []), id];
    for (const old of ids.slice(0, -KEPT)) this.#known.delete(old);
    this.#byLayer.set(layer, ids.slice(-KEPT));
  }

  /** @param {string} path */
  async #fetch(path) {
    const address = new URL(path, this.#url);
    if (address.host !== this.#url.host) throw new Error("it is on another server"); // the token is for this one only
    const token = await this.#getToken();
    const headers = /** @type {Record<string, string>} */ (token ? { Authorization: `Bearer ${token}` } : {});
    const answer = await fetch(address, { headers, redirect: "error" });
    if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
}
