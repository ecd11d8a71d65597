/**
 * Decompresses zstd frames that were made with a trained dictionary (RFC 8878, 5), with `fzstd`, which knows none.
 *
 * A dictionary is what a decoder would know if it had read something before: the code of literals, the tables of sequences, the last
 * three offsets, and content. So `fzstd` gets a frame that begins with blocks after which it knows just that, and goes on with the blocks
 * of the message. These first blocks are the same for each message, and made once.
 */
import { GeoStreamError } from "./errors.js";
import { blockHeader, frameHeader, joined, rawBlocks, readFrameHeader, viewOf } from "./zstd-frame.js";

/** @import { Fzstd } from "./codecs.js" */

const MAGIC = 0xec30a437;
const MAX_MESSAGE = 16 << 20;
const MOST_CODE_BITS = 11;
const RESERVE = 64 << 10;
const HEADER = 9;
/** The offsets that a decoder begins with: those of every dictionary that a library has trained. */
const OFFSETS = [1, 4, 8];
const OF_ONE = 0x54; // each of the three kinds of codes has a table of one symbol
const OF_TABLES = 0xa8; // each has a table of its own, which is in the block

/** @param {string} reason */
const bad = (reason) => new GeoStreamError("bad_dictionary", `the dictionary cannot be used: ${reason}`);

/** One dictionary, ready to decompress. */
export class ZstdDictionary {
  #fzstd;
  #frame;
  #start;
  #skipped;

  /** @param {Uint8Array} bytes @param {Fzstd} fzstd */
  constructor(bytes, fzstd) {
    if (bytes.length < 8 || viewOf(bytes).getUint32(0, true) !== MAGIC) throw bad("it does not begin as one");
    this.id = viewOf(bytes).getUint32(4, true);
    const { blocks, size } = knowledge(bytes, fzstd);
    this.#fzstd = fzstd;
    this.#start = HEADER + blocks.length;
    this.#skipped = size;
    this.#frame = joined(frameHeader(0), blocks, new Uint8Array(RESERVE));
  }

  /** @param {Uint8Array} frame made with this dictionary @returns {Uint8Array} */
  decompress(frame) {
    const header = readFrameHeader(frame);
    if (!header?.contentSize || header.contentSize > MAX_MESSAGE)
      throw new GeoStreamError("bad_frame", "the frame holds too much, or nothing, or does not say how much");
    const blocks = frame.subarray(header.headerSize, frame.length - header.checksum);
    const length = this.#start + blocks.length;
    if (length > this.#frame.length) this.#frame = joined(this.#frame.subarray(0, this.#start), new Uint8Array(blocks.length));
    viewOf(this.#frame).setUint32(5, this.#skipped + header.contentSize, true);
    this.#frame.set(blocks, this.#start);
    return this.#fzstd.decompress(this.#frame.subarray(0, length)).subarray(this.#skipped);
  }
}

/**
 * The blocks after which a decoder knows what the dictionary says, and how many bytes they decompress to.
 * @param {Uint8Array} bytes @param {Fzstd} fzstd
 */
function knowledge(bytes, fzstd) {
  const code = 8;
  const offsets = code + 1 + (bytes[code] < 128 ? bytes[code] : (bytes[code] - 126) >> 1);
  const tables = { offset: readTable(bytes, offsets), match: { end: 0, log: 0, state: 0 }, literal: { end: 0, log: 0, state: 0 } };
  tables.match = readTable(bytes, tables.offset.end);
  tables.literal = readTable(bytes, tables.match.end);
  const last = tables.literal.end;
  if (bytes.length < last + 12) throw bad("it is cut off");
  if (OFFSETS.some((offset, place) => viewOf(bytes).getUint32(last + 4 * place, true) !== offset)) throw bad("it has offsets of its own");
  const sequences = joined(
    new Uint8Array([1, OF_TABLES]),
    bytes.subarray(tables.match.end, tables.literal.end),
    bytes.subarray(offsets, tables.offset.end),
    bytes.subarray(tables.offset.end, tables.match.end),
    bitStream([tables.literal, tables.offset, tables.match]),
  );
  // A sequence without literals and with the second of the last offsets exchanges the first two. The tables come with one such sequence,
  // so there is one before it. Each of them copies three bytes of what is before: of the zeros at the start.
  const before = joined(rawBlocks(new Uint8Array(8)), compressed(new Uint8Array([0, 1, OF_ONE, 0, 0, 0, 1])));
  for (let bits = 1; bits <= MOST_CODE_BITS; bits += 1) {
    const block = compressed(joined(oneLiteral(bytes.subarray(code, offsets), bits), sequences));
    if (!decompresses(joined(before, block), 15, fzstd)) continue;
    const content = bytes.subarray(last + 12);
    return { blocks: joined(before, block, rawBlocks(content)), size: 15 + content.length };
  }
  throw bad("its tables cannot be read");
}

/**
 * A table of probabilities (RFC 8878, 4.1.1): where it ends, the bits of its states, and the first state of its symbol 0.
 * @param {Uint8Array} bytes @param {number} start
 */
function readTable(bytes, start) {
  const log = (bytes[start] & 15) + 5;
  const size = 1 << log;
  let place = (start << 3) + 4;
  let left = size;
  let first = 0;
  /** @param {number} count */
  const peek = (count) => {
    const at = place >> 3;
    return ((bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) >> (place & 7)) & ((1 << count) - 1);
  };
  for (let symbol = 0; left > 0; symbol += 1) {
    if (symbol > 255 || place >> 3 >= bytes.length) throw bad("a table does not end");
    const bits = 31 - Math.clz32(left + 1);
    const small = (1 << (bits + 1)) - 1 - left - 1;
    const low = peek(bits);
    const isSmall = low < small;
    const whole = isSmall ? low : peek(bits + 1);
    place += isSmall ? bits : bits + 1;
    const share = (!isSmall && whole >= 1 << bits ? whole - small : whole) - 1;
    if (symbol === 0) first = share;
    left -= Math.abs(share);
    if (share) continue;
    for (let more = 3; more === 3; symbol += more) {
      more = peek(2);
      place += 2;
    }
  }
  if (left < 0 || first === 0) throw bad("a table is wrong, or lacks the symbol 0");
  return { end: (place + 7) >> 3, log, state: first < 0 ? size - 1 : 0 };
}

/** The bits of first states, the first of them on top, below the mark of the end. @param {{log: number, state: number}[]} tables */
function bitStream(tables) {
  let [value, bits] = [1, 0];
  for (const { log, state } of tables) [value, bits] = [value * 2 ** log + state, bits + log];
  return littleEndian(value, (bits >> 3) + 1);
}

/** A section of one literal, the one whose code is `bits` zeros. @param {Uint8Array} code @param {number} bits */
function oneLiteral(code, bits) {
  const stream = littleEndian(2 ** bits, (bits >> 3) + 1);
  const header = 2 + (1 << 4) + ((code.length + stream.length) << 14);
  return joined(littleEndian(header, 3), code, stream);
}

/** @param {Uint8Array} content */
const compressed = (content) => joined(blockHeader(2, content.length), content);

/** @param {number} value @param {number} count bytes */
const littleEndian = (value, count) => Uint8Array.from({ length: count }, (_, byte) => Math.floor(value / 2 ** (8 * byte)) & 255);

/** @param {Uint8Array} blocks @param {number} size @param {Fzstd} fzstd */
function decompresses(blocks, size, fzstd) {
  const end = new Uint8Array([1, 0, 0]); // a last block, of nothing
  try {
    return fzstd.decompress(joined(frameHeader(size), blocks, end)).length === size;
  } catch {
    return false;
  }
}
