/** Cells of aggregates among features. */

/** Whether a feature is a cell of an aggregate. */
export function isCell({ id, geometry, properties }) {
  return typeof id === "string" && /^8[0-9a-f]{14}$/.test(id) && typeof properties?.count === "number" && /Polygon$/.test(geometry?.type);
}

/** How many features there are, those in cells among them. @param {Map<any, object>} features */
export function countOf(features) {
  let sum = 0;
  for (const feature of features.values()) sum += isCell(feature) ? feature.properties.count : 1;
  return sum;
}
