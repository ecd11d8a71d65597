/**
 * What brings a tile from one version to the next: pure functions of the old version and a delta. A delta only means something to who
 * holds the very version it starts from; that is checked before. What cannot be applied throws, and never gives half a tile.
 */
import { GeoStreamError } from "./errors.js";
import { frameHeader, joined, rawBlocks, readFrameHeader, viewOf } from "./zstd-frame.js";

/** @import { Fzstd } from "./codecs.js" */

/** Deltas between decoded pixels (of PNG tiles), and between the bytes of tiles. @type {readonly string[]} */
export const PIXEL_DELTAS = Object.freeze(["patch+webp", "xor+zstd"]);
/** @type {readonly string[]} */
export const BYTE_DELTAS = Object.freeze(["prefix+zstd", "upstream"]);
/** Those that need `fzstd`. @param {string} encoding */
export const needsZstd = (encoding) => encoding.endsWith("+zstd");

const MAX_SIZE = 16 << 20;

/** @param {string} reason */
const bad = (reason) => new GeoStreamError("bad_frame", `the delta cannot be applied: ${reason}`);
/** @param {Uint8Array} delta */
function headerOf(delta) {
  const header = readFrameHeader(delta);
  if (!header) throw bad("it is no zstd frame, or ends in its header");
  return header;
}

/**
 * The new version of a tile held as bytes; the old one stays as it is.
 * @param {string} encoding @param {Uint8Array} base @param {Uint8Array} delta @param {Fzstd | null} fzstd needed for zstd
 */
export function applyToBytes(encoding, base, delta, fzstd) {
  if (encoding === "prefix+zstd") return applyPrefix(base, delta, /** @type {Fzstd} */ (fzstd));
  if (encoding === "upstream") return applyUpstream(base, delta);
  throw bad(`"${encoding}" does not apply to bytes`);
}

/**
 * `upstream`: u32 new length; then u32 index and u8 value of each byte that differs, little-endian.
 * @param {Uint8Array} base @param {Uint8Array} delta @returns {Uint8Array}
 */
export function applyUpstream(base, delta) {
  if (delta.length < 4 || delta.length % 5 !== 4) throw bad("it is not a length and whole changes");
  const view = viewOf(delta);
  const size = view.getUint32(0, true);
  if (size > MAX_SIZE) throw bad(`it makes a tile of ${size} bytes`);
  const next = new Uint8Array(size);
  next.set(base.subarray(0, size));
  for (let place = 4; place < delta.length; place += 5) {
    const index = view.getUint32(place, true);
    if (index >= size) throw bad("it changes a byte beyond the end");
    next[index] = delta[place + 4];
  }
  return next;
}

/**
 * `xor+zstd`: what to XOR pixels with, once it is certain that it has their size.
 * @param {ArrayLike<number>} pixels 8-bit RGBA @param {Uint8Array} delta @param {Fzstd} fzstd
 * @returns {Uint8ClampedArray} the new pixels
 */
export function applyXor(pixels, delta, fzstd) {
  const { contentSize } = headerOf(delta);
  if (contentSize !== pixels.length) throw bad(`it is for ${contentSize} bytes of pixels, the tile has ${pixels.length}`);
  const difference = fzstd.decompress(delta);
  if (difference.length !== pixels.length) throw bad("it has another size than it says");
  const next = new Uint8ClampedArray(pixels.length);
  for (let place = 0; place < next.length; place += 1) next[place] = pixels[place] ^ difference[place];
  return next;
}

/** `patch+webp`: where the image belongs, and the image. @param {Uint8Array} delta @returns {{x: number, y: number, image: Uint8Array}} */
export function readPatch(delta) {
  if (delta.length <= 4) throw bad("there is no image in it");
  const view = viewOf(delta);
  return { x: view.getUint16(0, true), y: view.getUint16(2, true), image: delta.subarray(4) };
}

/**
 * `prefix+zstd`: a zstd frame whose dictionary is the old version, as raw content. `fzstd` knows no dictionaries; but a dictionary of raw
 * content is nothing else than data that went before. So it gets a frame that begins with the old version, in raw blocks (RFC 8878, 3.1.1),
 * and the new one is what comes behind. The checksum, which is only of the new one, is cut off; `fzstd` looks at none.
 * @param {Uint8Array} base @param {Uint8Array} delta @param {Fzstd} fzstd @returns {Uint8Array}
 */
export function applyPrefix(base, delta, fzstd) {
  const { headerSize, contentSize, checksum } = headerOf(delta);
  if (contentSize === null || contentSize > MAX_SIZE) throw bad("the frame holds too much, or does not say how much");
  const whole = fzstd.decompress(
    joined(frameHeader(base.length + contentSize), rawBlocks(base), delta.subarray(headerSize, delta.length - checksum)),
  );
  if (whole.length !== base.length + contentSize) throw bad("the frame has another size than it says");
  return whole.slice(base.length);
}
