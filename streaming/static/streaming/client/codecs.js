/**
 * Bytes to messages and back. What arrives is recognised by its first bytes, as the server does it, so nothing depends on
 * the moment at which a negotiated encoding takes effect. MessagePack and zstd are loaded only when they are asked for.
 *
 * `fzstd` only decompresses: with `compression: "Zstd"` the client sends its (small) messages uncompressed, which the server
 * understands at any time.
 */
import { isZstd, readFrameHeader } from "./zstd-frame.js";

/** @import { HeldDictionaries } from "./dictionaries.js" */

const JSON_STARTS = new Set([0x7b, 0x20, 0x09, 0x0a, 0x0d]);
const utf8 = new TextDecoder();

/**
 * @typedef {{encode: (message: unknown) => Uint8Array, decode: (bytes: Uint8Array) => unknown}} Msgpack what is used of `@msgpack/msgpack`
 * @typedef {{decompress: (bytes: Uint8Array) => Uint8Array}} Fzstd what is used of `fzstd`
 */

/**
 * @template {object} Module
 * @typedef {Module | string | URL | (() => Module | Promise<Module>)} ModuleSource a module, its URL, or a function that loads it
 */

/** @template {object} Module @param {ModuleSource<Module> | null | undefined} source @param {string} option @returns {Promise<Module>} */
export async function loadModule(source, option) {
  if (!source) throw new TypeError(`this encoding needs the option "${option}": a module or its URL`);
  if (typeof source === "function") return source();
  if (typeof source !== "string" && !(source instanceof URL)) return source;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ String(source));
}

/** The bytes of a tile: binary, a base64 text, or a list of numbers. @param {Uint8Array | string | number[]} data @returns {Uint8Array} */
export function bytesOf(data) {
  const { fromBase64 } = /** @type {any} */ (Uint8Array); // of newer browsers
  if (typeof data === "string") return fromBase64?.call(Uint8Array, data) ?? Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return data instanceof Uint8Array ? data : Uint8Array.from(data);
}

export class Codec {
  /** @type {Msgpack | null} */
  #msgpack = null;
  /** @type {Fzstd | null} */
  #fzstd = null;

  /**
   * @param {{format: string, compression: string, msgpack?: ModuleSource<Msgpack> | null, fzstd?: ModuleSource<Fzstd> | null}} options
   * @param {HeldDictionaries | null} [dictionaries] those that frames may be made with
   */
  constructor({ format, compression, msgpack, fzstd }, dictionaries = null) {
    this.dictionaries = dictionaries;
    this.format = format;
    this.compression = compression;
    this.sources = { msgpack, fzstd };
  }

  /** Load what the chosen encoding needs; to be awaited before the first frame. */
  async load() {
    if (this.format !== "Json") this.#msgpack ??= await loadModule(this.sources.msgpack, "msgpack");
    if (this.compression === "Zstd") this.#fzstd ??= await loadModule(this.sources.fzstd, "fzstd");
  }

  /** @param {object} message @returns {string | Uint8Array} */
  encode(message) {
    return this.format === "Json" ? JSON.stringify(message) : /** @type {Msgpack} */ (this.#msgpack).encode(message);
  }

  /** @param {string | ArrayBuffer | Uint8Array} data @returns {Record<string, any>} */
  decode(data) {
    if (typeof data === "string") return JSON.parse(data);
    let bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
    if (isZstd(bytes)) bytes = this.#decompress(bytes);
    if (JSON_STARTS.has(bytes[0])) return JSON.parse(utf8.decode(bytes));
    if (!this.#msgpack) throw new TypeError("a MessagePack frame arrived, but this client speaks Json");
    return /** @type {Record<string, any>} */ (this.#msgpack.decode(bytes));
  }

  /** @param {Uint8Array} bytes */
  #decompress(bytes) {
    const id = readFrameHeader(bytes)?.dictionary;
    if (id) {
      const dictionary = this.dictionaries?.get(id);
      if (!dictionary) throw new TypeError(`a frame arrived for which the dictionary ${id} is needed`);
      return dictionary.decompress(bytes);
    }
    if (!this.#fzstd) throw new TypeError("a zstd frame arrived, but this client asked for no compression");
    return this.#fzstd.decompress(bytes);
  }
}
