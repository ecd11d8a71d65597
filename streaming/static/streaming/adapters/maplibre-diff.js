/** What has changed, as `GeoJSONSource.updateData` of MapLibre GL JS takes it. */
import { sameJson } from "../client/collection.js";

/** @import { Feature } from "../client/messages.js" */
/** @import { Key, Painted, PlacedFeature } from "./live-features.js" */

/** The property with a feature's id: tiles of MapLibre keep only ids that are integers. */
export const ID = "@id";

/** The difference. @param {Painted[]} entries @param {boolean} perLayer whether keys name layers too */
export function difference(entries, perLayer) {
  const remove = [];
  const add = [];
  const update = [];
  for (const { key, feature, shown } of entries) {
    if (!feature) remove.push(key);
    else if (shown) update.push(changed(key, feature, shown));
    else add.push({ type: "Feature", id: key, geometry: feature.geometry, properties: named(key, feature, perLayer) });
  }
  return { remove, add, update };
}

/** @param {Key} key @param {PlacedFeature} feature @param {PlacedFeature} shown */
function changed(key, feature, shown) {
  const [now, before] = [flat(feature.properties), flat(shown.properties)];
  const addOrUpdateProperties = [];
  for (const [name, value] of Object.entries(now)) {
    if (!sameJson(value, before[name])) addOrUpdateProperties.push({ key: name, value });
  }
  return {
    id: key,
    ...(!sameJson(feature.geometry, shown.geometry) && { newGeometry: feature.geometry }),
    removeProperties: Object.keys(before).filter((name) => !Object.hasOwn(now, name)),
    addOrUpdateProperties,
  };
}

/** @param {Key} key @param {PlacedFeature} feature @param {boolean} perLayer */
function named(key, feature, perLayer) {
  return { ...flat(feature.properties), [ID]: key, ...(perLayer && { "@layer": JSON.parse(String(key))[0] }) };
}

/** Expressions of styles do not look into objects. @param {Feature["properties"]} properties @returns {Record<string, any>} */
function flat(properties) {
  if (!properties) return {};
  /** @type {Record<string, any>} */
  const found = { ...properties };
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) continue;
    for (const [part, inner] of Object.entries(value)) found[`${name}.${part}`] = inner;
  }
  return found;
}
