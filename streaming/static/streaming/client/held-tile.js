/**
 * One tile that a subscription holds: as pixels if pixel deltas may come for it, as bytes otherwise. What arrives is applied in the order of
 * arrival, though decoding an image takes its time. After something that could not be applied the tile is `broken` until it comes whole.
 */
import { GeoStreamError } from "./errors.js";
import { PIXEL_DELTAS, applyToBytes, applyXor, readPatch } from "./tile-deltas.js";

/** @import { Fzstd } from "./codecs.js" */
/** @import { TileData } from "./messages.js" */
/** @import { Picture, Pictures } from "./pictures.js" */

/** @typedef {{tileset: string, x: number, y: number, z: number}} Place */

/** @param {Place} place */
export const keyOf = ({ tileset, z, x, y }) => `${tileset}/${z}/${x}/${y}`;

/**
 * @typedef {object} Means what a subscription can decode
 * @property {string[]} delta the delta encodings it asks for
 * @property {Fzstd | null} fzstd
 * @property {Pictures | null} pictures
 */

export class HeldTile {
  #means;
  /** @type {Promise<unknown>} */
  #work = Promise.resolve();
  #wholeSize = 0;
  version = "";
  mimeType = "";
  /** @internal */
  broken = false;
  /** Whether the server may have forgotten that this is held. @internal */
  doubtful = false;
  /** The tile's file; null of a tile that is held as pixels. @type {Uint8Array | null} */
  bytes = null;
  /** In browsers, of images. @type {Picture | null} */
  picture = null;

  /** @param {Place} place @param {Means} means */
  constructor({ tileset, x, y, z }, means) {
    this.tileset = tileset;
    this.x = x;
    this.y = y;
    this.z = z;
    this.#means = means;
  }

  /** Nothing is there any more. */
  get empty() {
    return this.version === "";
  }

  /** Whether this can be applied to what is held, or will be once all has been decoded. @internal @param {TileData} message */
  accepts({ encoding, base_version: base }) {
    return !encoding || (!this.broken && !this.empty && base === this.version);
  }

  /**
   * Take a message that is accepted. Resolves when the tile is as it says.
   * @internal @param {TileData} message @param {Uint8Array} data
   * @returns {Promise<{received: number, whole: number}>} the bytes received, and those of the whole tile
   */
  take({ encoding, version, mime_type: mimeType }, data) {
    this.version = version ?? "";
    this.doubtful = false;
    if (!encoding) this.broken = false;
    const apply = () => (encoding ? this.#change(encoding, data) : this.#replace(mimeType, data));
    const work = this.#work.then(apply, apply).then(() => ({ received: data.length, whole: Math.max(this.#wholeSize, data.length) }));
    this.#work = work;
    return work;
  }

  /** @param {string} mimeType @param {Uint8Array} data */
  async #replace(mimeType, data) {
    const pixels = mimeType === "image/png" && this.#means.delta.some((name) => PIXEL_DELTAS.includes(name));
    this.mimeType = mimeType;
    this.#wholeSize = data.length;
    await this.#show(data);
    this.bytes = pixels || data.length === 0 ? null : data;
  }

  /** @param {string} encoding @param {Uint8Array} delta */
  async #change(encoding, delta) {
    if (this.broken) throw new GeoStreamError("bad_frame", "the version before could not be read");
    if (PIXEL_DELTAS.includes(encoding)) return this.#paint(encoding, delta);
    if (!this.bytes) throw new GeoStreamError("bad_frame", `a delta of bytes (${encoding}) for a tile held as pixels`);
    const bytes = applyToBytes(encoding, this.bytes, delta, this.#means.fzstd);
    this.#wholeSize = bytes.length;
    await this.#show(bytes);
    this.bytes = bytes;
  }

  /** @param {string} encoding @param {Uint8Array} delta @returns {Promise<void>} */
  async #paint(encoding, delta) {
    if (!this.picture || this.bytes) throw new GeoStreamError("bad_frame", `a delta of pixels (${encoding}) for a tile held as bytes`);
    const fzstd = /** @type {Fzstd} */ (this.#means.fzstd); // nobody asks for `xor+zstd` without
    if (encoding === "xor+zstd") return this.picture.change((pixels) => applyXor(pixels, delta, fzstd));
    const { x, y, image } = readPatch(delta);
    return this.picture.patch(x, y, image);
  }

  /** @param {Uint8Array} data */
  async #show(data) {
    const { pictures } = this.#means;
    this.picture = pictures && data.length > 0 && this.mimeType.startsWith("image/") ? await pictures.open(data, this.mimeType) : null;
  }
}
