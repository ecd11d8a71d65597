/** The values of features that styles name, and what lies between stops. */

/** @typedef {{id?: any, geometry?: any, properties?: Record<string, any> | null}} StyledFeature */

/** Stands for the third coordinate of a point. */
export const Z = "$z";
/** Stands for the layer's time property, in milliseconds. */
export const TIME = "$time";
/** Stands for the id. */
export const ID = "$id";

/**
 * @param {StyledFeature} feature @param {string} name of a property, or a path of names with dots between them
 * @returns {any} undefined if it has none
 */
export function valueOf(feature, name) {
  if (name === ID) return feature.id;
  if (name === Z) return feature.geometry?.type === "Point" ? feature.geometry.coordinates[2] : undefined;
  const properties = feature.properties ?? {};
  if (Object.hasOwn(properties, name)) return properties[name];
  if (!name.includes(".")) return undefined;
  /** @type {any} */
  let found = properties;
  for (const part of name.split(".")) found = typeof found === "object" && found !== null && Object.hasOwn(found, part) ? found[part] : undefined;
  return found;
}

/** @param {any} value @returns {number} NaN for what is none */
export function numberOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : NaN;
}

/**
 * Where a number is among stops that go upwards: 1.5 is in the middle between the second and the third. Outside it is at the nearest end.
 * @param {number} value @param {number[]} stops
 */
export function placeAmong(value, stops) {
  if (!(value > stops[0])) return 0;
  const next = stops.findIndex((stop) => stop > value);
  if (next < 0) return stops.length - 1;
  return next - 1 + (value - stops[next - 1]) / (stops[next] - stops[next - 1]);
}

/** Of `cases` of a match, the one that a value equals. @param {any} value @param {[any, any][]} cases @returns {number} -1 if there is none */
export function caseOf(value, cases) {
  return cases.findIndex(([wanted]) => wanted === value);
}
