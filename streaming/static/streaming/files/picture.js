/**
 * Pictures of image files. What a file is, is decided by its first bytes and never by its name, and only what browsers decode as an image is
 * taken: never SVG or HTML, which may hold scripts. It is painted on a canvas, so it never becomes a document.
 */
export const MOST_PICTURE_BYTES = 16 * 2 ** 20;
const WIDEST = 1200;
const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

/** @param {Uint8Array} bytes the first of a file, 16 at least @returns {string | null} its media type if it is an image */
export function imageType(bytes) {
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "image/png";
  if (text(bytes, 0, 3) === "\xff\xd8\xff") return "image/jpeg";
  if (text(bytes, 0, 4) === "GIF8") return "image/gif";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return "image/webp";
  if (text(bytes, 4, 8) === "ftyp" && ["avif", "avis"].includes(text(bytes, 8, 12))) return "image/avif";
  return null;
}

/** Paint the image in these bytes, smaller if it is large. @param {ArrayBuffer} buffer @returns {Promise<{width: number, height: number}>} its size */
export async function paint(canvas, buffer) {
  const type = imageType(new Uint8Array(buffer, 0, Math.min(16, buffer.byteLength)));
  if (type === null) throw new Error("not an image");
  const image = await createImageBitmap(new Blob([buffer], { type }));
  const scale = Math.min(1, WIDEST / Math.max(image.width, image.height));
  const size = { width: image.width, height: image.height };
  Object.assign(canvas, { width: Math.max(1, Math.round(image.width * scale)), height: Math.max(1, Math.round(image.height * scale)) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return size;
}
