/** The pieces of a zstd frame (RFC 8878, 3.1.1) from which a frame for `fzstd` is put together. */

export const ZSTD_MAGIC = Object.freeze([0x28, 0xb5, 0x2f, 0xfd]);
const MAX_BLOCK = 128 << 10;

/** @param {Uint8Array} bytes */
export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether bytes begin as a zstd frame does. @param {Uint8Array} bytes */
export const isZstd = (bytes) => ZSTD_MAGIC.every((byte, place) => bytes[place] === byte);

/**
 * @param {Uint8Array} frame
 * @returns {{headerSize: number, contentSize: number | null, checksum: number, dictionary: number} | null} `checksum`: how many bytes it
 *   takes at the end; `dictionary`: the id, 0 for none. Null if the bytes are no frame, or end in its header
 */
export function readFrameHeader(frame) {
  if (frame.length < 6 || !isZstd(frame)) return null;
  const descriptor = frame[4];
  const single = (descriptor >> 5) & 1;
  const sizeFlag = descriptor >> 6;
  const idBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeBytes = sizeFlag ? 1 << sizeFlag : single;
  const place = 6 - single + idBytes;
  if (frame.length < place + sizeBytes) return null;
  const contentSize = number(frame, place, sizeBytes) + (sizeFlag === 1 ? 256 : 0);
  return {
    headerSize: place + sizeBytes,
    contentSize: sizeBytes ? contentSize : null,
    checksum: (descriptor >> 2) & 1 ? 4 : 0,
    dictionary: number(frame, place - idBytes, idBytes),
  };
}

/** Little-endian. @param {Uint8Array} bytes @param {number} start @param {number} count */
function number(bytes, start, count) {
  let value = 0;
  for (let byte = count - 1; byte >= 0; byte -= 1) value = value * 256 + bytes[start + byte];
  return value;
}

/**
 * Of a frame in one segment, whose window is therefore all that it holds, with a size of four bytes and no checksum.
 * @param {number} contentSize
 */
export function frameHeader(contentSize) {
  const header = new Uint8Array([...ZSTD_MAGIC, 0xa0, 0, 0, 0, 0]);
  viewOf(header).setUint32(5, contentSize, true);
  return header;
}

/** What a block begins with: one that is not the last. @param {0 | 2} type raw, or compressed @param {number} size */
export function blockHeader(type, size) {
  const header = (size << 3) | (type << 1);
  return new Uint8Array([header & 255, (header >> 8) & 255, header >> 16]);
}

/** @param {Uint8Array} content */
export function rawBlocks(content) {
  const blocks = [];
  for (let start = 0; start < content.length; start += MAX_BLOCK) {
    const block = content.subarray(start, start + MAX_BLOCK);
    blocks.push(blockHeader(0, block.length), block);
  }
  return joined(...blocks);
}

/** @param {...Uint8Array} parts */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
