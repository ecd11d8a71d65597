/**
 * One tile that a subscription holds: as pixels if pixel deltas may come for it, as bytes otherwise. What arrives is applied in the order of
 * arrival, though decoding an image takes its time. After something that could not be applied the tile is `broken` until it comes whole.
 */
import { GeoStreamError } from "./errors.js";
import { PIXEL_DELTAS, applyToBytes, applyXor, readPatch } from "./tile-deltas.js";

export const keyOf = ({ tileset, z, x, y }) => `${tileset}/${z}/${x}/${y}`;

/**
 * @typedef {object} Means what a subscription can decode
 * @property {string[]} delta the delta encodings it asks for
 * @property {object | null} fzstd
 * @property {import("./pictures.js").Pictures | null} pictures
 */

export class HeldTile {
  #means;
  #work = Promise.resolve();
  #wholeSize = 0;
  version = "";
  mimeType = "";
  broken = false;
  /** Whether the server may have forgotten that this is held. */
  doubtful = false;
  /** @type {Uint8Array | null} */
  bytes = null;
  /** @type {import("./pictures.js").Picture | null} */
  picture = null;

  /** @param {{tileset: string, x: number, y: number, z: number}} place @param {Means} means */
  constructor({ tileset, x, y, z }, means) {
    Object.assign(this, { tileset, x, y, z });
    this.#means = means;
  }

  get empty() {
    return this.version === "";
  }

  /** Whether this can be applied to what is held, or will be once all has been decoded. */
  accepts({ encoding, base_version: base }) {
    return !encoding || (!this.broken && !this.empty && base === this.version);
  }

  /**
   * Take a message that is accepted. Resolves when the tile is as it says.
   * @param {Uint8Array} data @returns {Promise<{received: number, whole: number}>} the bytes received, and those of the whole tile
   */
  take({ encoding, version, mime_type: mimeType }, data) {
    this.version = version ?? "";
    this.doubtful = false;
    if (!encoding) this.broken = false;
    const apply = () => (encoding ? this.#change(encoding, data) : this.#replace(mimeType, data));
    this.#work = this.#work.then(apply, apply).then(() => ({ received: data.length, whole: Math.max(this.#wholeSize, data.length) }));
    return this.#work;
  }

  async #replace(mimeType, data) {
    const pixels = mimeType === "image/png" && this.#means.delta.some((name) => PIXEL_DELTAS.includes(name));
    this.mimeType = mimeType;
    this.#wholeSize = data.length;
    await this.#show(data);
    this.bytes = pixels || data.length === 0 ? null : data;
  }

  async #change(encoding, delta) {
    if (this.broken) throw new GeoStreamError("bad_frame", "the version before could not be read");
    if (PIXEL_DELTAS.includes(encoding)) return this.#paint(encoding, delta);
    if (!this.bytes) throw new GeoStreamError("bad_frame", `a delta of bytes (${encoding}) for a tile held as pixels`);
    const bytes = applyToBytes(encoding, this.bytes, delta, this.#means.fzstd);
    this.#wholeSize = bytes.length;
    await this.#show(bytes);
    this.bytes = bytes;
  }

  async #paint(encoding, delta) {
    if (!this.picture || this.bytes) throw new GeoStreamError("bad_frame", `a delta of pixels (${encoding}) for a tile held as bytes`);
    if (encoding === "xor+zstd") return this.picture.change((pixels) => applyXor(pixels, delta, this.#means.fzstd));
    const { x, y, image } = readPatch(delta);
    return this.picture.patch(x, y, image);
  }

  async #show(data) {
    const { pictures } = this.#means;
    this.picture = pictures && data.length > 0 && this.mimeType.startsWith("image/") ? await pictures.open(data, this.mimeType) : null;
  }
}
