/** What the map shows. */

/** West, south, east and north in degrees; west is beyond east where the map shows the antimeridian. @returns {[number, number, number, number]} */
export function viewportOf(map) {
  const bounds = map.getBounds();
  const wrap = (longitude) => ((((longitude + 180) % 360) + 360) % 360) - 180;
  const whole = bounds.getEast() - bounds.getWest() >= 360;
  const [west, east] = whole ? [-180, 180] : [wrap(bounds.getWest()), wrap(bounds.getEast())];
  return [west, Math.max(-90, bounds.getSouth()), east, Math.min(90, bounds.getNorth())].map((degrees) => Number(degrees.toFixed(5)));
}
