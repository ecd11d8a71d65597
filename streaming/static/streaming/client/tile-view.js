/** Which tiles a box and a range of zooms ask for, as the server counts them: those that the box touches; edges count. */
const MAX_LATITUDE = 85.0511287798066;
/**
 * In degrees. The server counts what is within 1e-9, and its arithmetic may differ in the last digit: beyond that it is safe to keep a tile,
 * which cannot be seen, and unsafe to drop one that the server believes to be held.
 */
const EDGE = 2e-9;

/** The place of a latitude in units of tiles, from the north. @param {number} latitude @param {number} size */
function row(latitude, size) {
  const inside = Math.min(Math.max(latitude, -MAX_LATITUDE), MAX_LATITUDE);
  return ((1 - Math.asinh(Math.tan((inside * Math.PI) / 180)) / Math.PI) / 2) * size;
}

/** @param {Record<string, any>} view with `bbox` and `zoom_range` @param {{x: number, y: number, z: number}} tile @returns {boolean} */
export function inView({ bbox: [west, south, east, north], zoom_range: { start, end } }, { x, y, z }) {
  if (z < start || z >= end || south > MAX_LATITUDE + EDGE || north < -MAX_LATITUDE - EDGE) return false;
  const size = 2 ** z;
  /** @param {number} place */
  const clamped = (place) => Math.min(Math.max(Math.floor(place), 0), size - 1);
  if (y < clamped(row(north + EDGE, size)) || y > clamped(row(south - EDGE, size))) return false;
  const [left, right] = [west - EDGE, east + EDGE].map((longitude) => clamped(((longitude + 180) / 360) * size));
  return west <= east ? x >= left && x <= right : x >= left || x <= right;
}
