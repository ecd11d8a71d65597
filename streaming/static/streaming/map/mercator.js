/** Web Mercator as fractions of the world: x and y from 0 (west, north) to 1. Multiply by `256 * 2 ** zoom` for Leaflet's pixels. */
const LIMIT = 85.0511287798;

export const toX = (longitude) => (longitude + 180) / 360;

export function toY(latitude) {
  const sine = Math.sin((Math.max(-LIMIT, Math.min(LIMIT, latitude)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

export const toLatitude = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

export const worldSize = (zoom) => 256 * 2 ** zoom;
