/** Which tiles a map needs, which part of them it shows, and the box to ask the server for. */

const longitude = (column, columns) => (column / columns) * 360 - 180;
const latitude = (row, rows) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * row) / rows))) * 180) / Math.PI;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The tile that shows a square of the map, and which part of it does: column and row of `scale` x `scale`.
 * @param {{x: number, y: number, z: number}} square in Leaflet's numbers, by which a zoom has 2 ** z squares of 256 pixels
 * @param {number} behind how many zooms the tiles have less: 1 for tiles of 512 pixels
 * @param {number} maxZoom the last zoom that has tiles
 */
export function tileFor({ x, y, z }, behind, maxZoom) {
  const depth = Math.max(0, z - behind - maxZoom);
  const scale = 2 ** depth;
  const [column, row] = [Math.floor(x / scale), Math.floor(y / scale)];
  return { z: z - behind - depth, x: column, y: row, part: { x: x - column * scale, y: y - row * scale, scale } };
}

/**
 * The box of a rectangle of tiles, from the middle of its outermost ones, so that it touches these and no others. Columns may be of another
 * copy of the world.
 * @param {number} z @param {{min: {x: number, y: number}, max: {x: number, y: number}}} range both ends included
 * @param {number} padding tiles more on every side
 */
export function viewOf(z, { min, max }, padding = 0) {
  const size = 2 ** z;
  const [left, right] = [min.x - padding, max.x + padding];
  const [top, bottom] = [min.y - padding, max.y + padding].map((row) => clamp(row, 0, size - 1) + 0.5);
  const whole = right - left + 1 >= size;
  const column = (x) => (((x % size) + size) % size) + 0.5;
  const [west, east] = (whole ? [0.5, size - 0.5] : [column(left), column(right)]).map((x) => longitude(x, size));
  return { bbox: [west, latitude(bottom, size), east, latitude(top, size)], zoomRange: { start: z, end: z + 1 } };
}
