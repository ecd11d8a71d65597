// What a JSON Schema of an input or output is, for people.

import { gettext, interpolate } from "../streaming/map/gettext.js";

/** The branches of a schema that say what a value is: itself, those of `allOf`, the first of `oneOf` or `anyOf`. */
function branches(schema) {
  if (!schema || typeof schema !== "object") return [];
  const first = (schema.oneOf ?? schema.anyOf ?? []).slice(0, 1);
  return [schema, ...(schema.allOf ?? []), ...first].flatMap((each) => (each === schema ? [each] : branches(each)));
}

function found(schema, name) {
  return branches(schema).map((each) => each[name]).find((value) => value !== undefined);
}

/** One of bbox, geojson, binary, choice, boolean, number, text, list, json. */
export function kindOf(schema) {
  const format = String(found(schema, "format") ?? "").split("/").pop();
  if (format === "ogc-bbox") return "bbox";
  if (format.startsWith("geojson")) return "geojson";
  if (found(schema, "contentEncoding")) return "binary";
  if (found(schema, "enum")) return "choice";
  const type = found(schema, "type");
  if (type === "boolean") return "boolean";
  if (type === "number" || type === "integer") return "number";
  if (type === "string") return "text";
  return type === "array" ? "list" : "json";
}

export function choices(schema) {
  return found(schema, "enum") ?? [];
}

export function defaultOf(schema) {
  return found(schema, "default");
}

export function mediaType(schema) {
  return found(schema, "contentMediaType") ?? "";
}

/** Attributes of a number's `<input>`. */
export function bounds(schema) {
  return { min: found(schema, "minimum"), max: found(schema, "maximum"), step: found(schema, "type") === "integer" ? 1 : "any" };
}

/** What a schema allows, in a few words. */
export function inWords(schema) {
  const kind = kindOf(schema);
  const words = { bbox: gettext("a box: west, south, east, north"), geojson: "GeoJSON", binary: mediaType(schema) || gettext("a file"), choice: "", list: gettext("a JSON list"), json: "JSON" };
  const { min, max } = bounds(schema);
  if (kind === "number") {
    const range = [min !== undefined ? interpolate(gettext("at least %(number)s"), { number: min }) : "", max !== undefined ? interpolate(gettext("at most %(number)s"), { number: max }) : ""].filter(Boolean).join(", ");
    return [found(schema, "type") === "integer" ? gettext("a whole number") : gettext("a number"), range].filter(Boolean).join(", ");
  }
  return words[kind] ?? "";
}
