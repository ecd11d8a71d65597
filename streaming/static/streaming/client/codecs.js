/**
 * Bytes to messages and back. What arrives is recognised by its first bytes, as the server does it, so nothing depends on
 * the moment at which a negotiated encoding takes effect. MessagePack and zstd are loaded only when they are asked for.
 *
 * `fzstd` only decompresses: with `compression: "Zstd"` the client sends its (small) messages uncompressed, which the server
 * understands at any time.
 */
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const JSON_STARTS = new Set([0x7b, 0x20, 0x09, 0x0a, 0x0d]);
const utf8 = new TextDecoder();

/** A module given as it is, or as a URL to import. */
export async function loadModule(moduleOrUrl, option) {
  if (!moduleOrUrl) throw new TypeError(`this encoding needs the option "${option}": a module or its URL`);
  if (typeof moduleOrUrl !== "string" && !(moduleOrUrl instanceof URL)) return moduleOrUrl;
  return import(String(moduleOrUrl));
}

/** The bytes of a tile: binary, a base64 text, or a list of numbers. @param {Uint8Array | string | number[]} data @returns {Uint8Array} */
export function bytesOf(data) {
  if (typeof data === "string") return Uint8Array.fromBase64?.(data) ?? Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return data instanceof Uint8Array ? data : Uint8Array.from(data);
}

export class Codec {
  #msgpack = null;
  #fzstd = null;

  /** @param {{format: string, compression: string, msgpack?: unknown, fzstd?: unknown}} options */
  constructor({ format, compression, msgpack, fzstd }) {
    this.format = format;
    this.compression = compression;
    this.sources = { msgpack, fzstd };
  }

  /** Load what the chosen encoding needs; to be awaited before the first frame. */
  async load() {
    if (this.format !== "Json") this.#msgpack ??= await loadModule(this.sources.msgpack, "msgpack");
    if (this.compression === "Zstd") this.#fzstd ??= await loadModule(this.sources.fzstd, "fzstd");
  }

  /** @returns {string | Uint8Array} */
  encode(message) {
    return this.format === "Json" ? JSON.stringify(message) : this.#msgpack.encode(message);
  }

  /** @param {string | ArrayBuffer | Uint8Array} data @returns {Record<string, any>} */
  decode(data) {
    if (typeof data === "string") return JSON.parse(data);
    let bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
    if (ZSTD_MAGIC.every((byte, place) => bytes[place] === byte)) bytes = this.#decompress(bytes);
    if (JSON_STARTS.has(bytes[0])) return JSON.parse(utf8.decode(bytes));
    if (!this.#msgpack) throw new TypeError("a MessagePack frame arrived, but this client speaks Json");
    return this.#msgpack.decode(bytes);
  }

  #decompress(bytes) {
    if (!this.#fzstd) throw new TypeError("a zstd frame arrived, but this client asked for no compression");
    return this.#fzstd.decompress(bytes);
  }
}
