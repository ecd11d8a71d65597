/** Whether a geometry is in view, by its box. */

/** @param {object} geometry GeoJSON @param {[number, number, number, number]} view west, south, east, north; over the antimeridian west is beyond east */
export function inView(geometry, [west, south, east, north]) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  extendBox(box, geometry);
  const [left, bottom, right, top] = box;
  if (!(bottom <= north && top >= south)) return false;
  const width = east >= west ? east - west : east - west + 360;
  return modulo(left - west) <= width || modulo(west - left) <= right - left;
}

const modulo = (degrees) => ((degrees % 360) + 360) % 360;

function extendBox(box, { coordinates, geometries }) {
  for (const each of geometries ?? []) extendBox(box, each);
  if (coordinates) extendByPositions(box, coordinates);
}

function extendByPositions(box, positions) {
  if (Array.isArray(positions[0])) return positions.forEach((each) => extendByPositions(box, each));
  const [longitude, latitude] = positions;
  if (longitude === undefined) return;
  box[0] = Math.min(box[0], longitude);
  box[1] = Math.min(box[1], latitude);
  box[2] = Math.max(box[2], longitude);
  box[3] = Math.max(box[3], latitude);
}
