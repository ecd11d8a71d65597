/**
 * Images decoded to canvases that hold their exact pixels, in browsers. Some browsers give out altered pixels, against recognition; so it
 * is tried once what can be relied on, and only those delta encodings are asked for.
 */
import { GeoStreamError } from "./errors.js";

/** A lossless WebP of one pixel. */
const WEBP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==";
/** @type {ImageBitmapOptions} */
const EXACT = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
const TRIED = 64;

/**
 * @typedef {object} Picture
 * @property {OffscreenCanvas | HTMLCanvasElement} canvas shows the tile as it is now; it is painted over when the tile changes
 * @property {(change: (pixels: Uint8ClampedArray) => Uint8ClampedArray) => void} change
 * @property {(x: number, y: number, image: Uint8Array) => Promise<void>} patch
 *
 * @typedef {object} Pictures
 * @property {string[]} delta the pixel deltas that can be applied exactly
 * @property {(data: Uint8Array, mimeType: string) => Promise<Picture>} open
 */

/** @param {Uint8Array} data @param {string} type */
const bitmapOf = (data, type) => createImageBitmap(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)], { type }), EXACT);

/** @param {number} width @param {number} height @returns {OffscreenCanvas | HTMLCanvasElement} */
function canvasOf(width, height) {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** @param {OffscreenCanvas | HTMLCanvasElement} canvas */
function contextOf(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return /** @type {OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D} */ (context);
}

/** @implements {Picture} */
class CanvasPicture {
  #context;

  /** @param {ImageBitmap} bitmap */
  constructor(bitmap) {
    this.canvas = canvasOf(bitmap.width, bitmap.height);
    this.#context = contextOf(this.canvas);
    this.#draw(bitmap, 0, 0);
  }

  /** @param {(pixels: Uint8ClampedArray) => Uint8ClampedArray} change */
  change(change) {
    const { width, height } = this.canvas;
    const image = this.#context.getImageData(0, 0, width, height);
    image.data.set(change(image.data));
    this.#context.putImageData(image, 0, 0);
  }

  /** @param {number} x @param {number} y @param {Uint8Array} image */
  async patch(x, y, image) {
    const bitmap = await bitmapOf(image, "image/webp");
    if (x + bitmap.width > this.canvas.width || y + bitmap.height > this.canvas.height) {
      bitmap.close();
      throw new GeoStreamError("bad_frame", "the patch is larger than the tile");
    }
    this.#draw(bitmap, x, y);
  }

  /** In one step, so that nobody ever sees the hole. @param {ImageBitmap} bitmap @param {number} x @param {number} y */
  #draw(bitmap, x, y) {
    this.#context.clearRect(x, y, bitmap.width, bitmap.height);
    this.#context.drawImage(bitmap, x, y);
    bitmap.close();
  }
}

/** @param {Uint8Array} data @param {string} type */
const open = async (data, type) => new CanvasPicture(await bitmapOf(data, type));

/** Pixels as deltas are made for: opaque, but for some that are transparent black. */
function sample() {
  const image = new ImageData(TRIED, TRIED);
  let seed = 1;
  for (let place = 0; place < image.data.length; place += 4) {
    seed = (seed * 48_271) % 0x7fffffff;
    if (seed % 7) image.data.set([seed & 255, (seed >> 8) & 255, (seed >> 16) & 255, 255], place);
  }
  return image;
}

/** @param {ImageData} image @param {ArrayLike<number> | null} other */
const same = (image, other) => image.data.every((value, place) => value === other?.[place]);

/** What is written can be read, and what is encoded without loss can be decoded, to the last bit. */
async function readsExactly() {
  const image = sample();
  const canvas = new OffscreenCanvas(TRIED, TRIED);
  const context = contextOf(canvas);
  context.putImageData(image, 0, 0);
  if (!same(image, context.getImageData(0, 0, TRIED, TRIED).data)) return false;
  const file = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  /** @type {Uint8ClampedArray | null} */
  let read = null;
  (await open(file, "image/png")).change((pixels) => (read = pixels));
  return same(image, read);
}

/** Whether a trial succeeds; what throws in it is what this browser cannot do. @param {() => Promise<unknown>} trial */
const succeeds = (trial) => trial().then(Boolean, () => false);

/** @returns {Promise<Pictures | null>} */
async function findOut() {
  if (typeof createImageBitmap !== "function" || typeof Blob !== "function") return null;
  const webp = await succeeds(() =>
    bitmapOf(
      Uint8Array.from(atob(WEBP), (letter) => letter.charCodeAt(0)),
      "image/webp",
    ),
  );
  const exact = await succeeds(readsExactly);
  return { delta: [...(webp ? ["patch+webp"] : []), ...(exact ? ["xor+zstd"] : [])], open };
}

/** @type {Promise<Pictures | null> | null} */
let found = null;

/** How this browser decodes images; null where there is no browser. @returns {Promise<Pictures | null>} */
export function browserPictures() {
  return (found ??= findOut());
}
