/** Which tiles a box and a range of zooms ask for, as the server counts them. */
const MAX_LATITUDE = 85.0511287798066;
/**
 * In tiles. Arithmetic may differ in the last digit at the very edge of a tile; there it is safe to keep a tile, which cannot be seen, and
 * unsafe to drop one that the server believes to be held.
 */
const EDGE = 1e-6;

/** The place of a latitude in units of tiles, from the north. */
function row(latitude, size) {
  const inside = Math.min(Math.max(latitude, -MAX_LATITUDE), MAX_LATITUDE);
  return ((1 - Math.asinh(Math.tan((inside * Math.PI) / 180)) / Math.PI) / 2) * size;
}

/** @param {{bbox: number[], zoom_range: {start: number, end: number}}} view @param {{x: number, y: number, z: number}} tile */
export function inView({ bbox: [west, south, east, north], zoom_range: { start, end } }, { x, y, z }) {
  if (z < start || z >= end || south > MAX_LATITUDE || north < -MAX_LATITUDE) return false;
  const size = 2 ** z;
  const clamped = (place) => Math.min(Math.max(Math.floor(place), 0), size - 1);
  if (y < clamped(row(north, size) - EDGE) || y > clamped(row(south, size) + EDGE)) return false;
  const [left, right] = [west, east].map((longitude) => clamped(((longitude + 180) / 360) * size));
  return west <= east ? x >= left && x <= right : x >= left || x <= right;
}
