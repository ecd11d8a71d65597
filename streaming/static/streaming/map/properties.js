/** What the properties of unknown layers mean: which one is a heading, a measure, a name; and how to write them for people. */
import { TIME, Z, numberOf, valueOf } from "../style/values.js";
import { gettext, interpolate, LANGUAGE } from "./gettext.js";
import { toTime } from "./times.js";

const HEADINGS = ["track_deg", "heading", "heading_deg", "course", "cog", "bearing", "track"];
const NAMES = ["callsign", "name", "title", "label", "place"];
const COLOURED_FIRST = [/^alt/i, /^mag/i, /temp/i, /speed/i];
const COLOURED_LAST = [Z, TIME];
const NOT_A_MEASURE = /(^|_)(id|lat|lon|lng|latitude|longitude|nst|tz|code|felt|tsunami|sig|updated|time|timestamp)$/i;

/** Stands for the number of features in a cell, of which the power of ten is coloured. */
export const COUNT = "$count";

/** Which property says where these features are heading, if one does. @param {object[]} features */
export const headingIn = (features) => HEADINGS.find((name) => features.some((feature) => !Number.isNaN(numberOf(valueOf(feature, name)))));
/** Which property these features are called by. @param {object[]} features */
export const nameIn = (features) => NAMES.find((name) => features.some(({ properties }) => properties?.[name]));
export const nameOf = ({ id, properties }) => String(NAMES.map((name) => properties?.[name]).find((value) => value) ?? id);

export { TIME };

/** What this layer can be coloured by, most telling first. @param {Iterable<object>} features a sample */
export function measures(features, timeProperty) {
  const found = new Set();
  for (const feature of features) {
    const properties = feature.properties ?? {};
    for (const [name, value] of Object.entries(properties)) if (!Number.isNaN(numberOf(value)) && !NOT_A_MEASURE.test(name)) found.add(name);
    if (valueOf(feature, Z) !== undefined) found.add(Z);
    if (timeProperty && properties[timeProperty] != null) found.add(TIME);
  }
  const rank = (name) => {
    if (COLOURED_LAST.includes(name)) return COLOURED_FIRST.length + 1;
    const place = COLOURED_FIRST.findIndex((pattern) => pattern.test(name));
    return place < 0 ? COLOURED_FIRST.length : place;
  };
  return [...found].sort((a, b) => rank(a) - rank(b));
}

const TELLING = [/^(callsign|name|title|place|label)$/i, /^mag/i, /^(alt|speed|groundspeed|track|heading|vertical)/i, /^(status|type|kind)$/i, /time|date/i];

/** What says something of a feature, the most telling ones first, long texts last; without those that have no value. @returns {[string, any][]} */
export function tellingFirst(properties) {
  const rank = ([name, value]) => {
    const place = TELLING.findIndex((pattern) => pattern.test(name));
    const isLong = (typeof value === "string" && value.length > 40) || typeof value === "object";
    return isLong && place !== 0 ? TELLING.length + 1 : place < 0 ? TELLING.length : place;
  };
  const rows = Object.entries(properties).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return rows.sort((one, other) => rank(one) - rank(other));
}

const UNITS = [
  [/_ftmin$/, "ft/min"],
  [/_ft$/, "ft"],
  [/_kt$/, "kt"],
  [/_deg$/, "°"],
  [/_km$/, "km"],
  [/_m$/, "m"],
  [/_ms$/, "m/s"],
  [/_kmh$/, "km/h"],
];

/** @returns {{label: string, unit: string}} */
export function describe(property) {
  if (property === Z) return { label: gettext("Third coordinate"), unit: "" };
  if (property === TIME) return { label: gettext("Time"), unit: "" };
  if (property === COUNT) return { label: gettext("Features in a cell"), unit: "" };
  const [pattern, unit] = UNITS.find(([ending]) => ending.test(property)) ?? [/$^/, ""];
  const words = property
    .replace(pattern, "")
    .replace(/_/g, " ")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .trim();
  return { label: words.charAt(0).toUpperCase() + words.slice(1), unit };
}

/** In a list to choose from: `by altitude`. German writes nouns with a capital letter. */
export function byProperty(property) {
  const { label } = describe(property);
  return interpolate(gettext("by %(property)s"), { property: LANGUAGE.startsWith("de") ? label : label.toLowerCase() });
}

const numbers = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 2, useGrouping: "always" });
/** In English a comma, elsewhere a point or a space. */
const GROUP = numbers.formatToParts(1000).find(({ type }) => type === "group").value;
const BYTES = ["B", "kB", "MB", "GB", "TB"];
const TIME_OF_DAY = /^\d{4}-\d\d-\d\d[T ]\d\d:?\d\d/;

export const formatNumber = (value) => numbers.format(value).replaceAll(GROUP, "\u202f");

export function formatBytes(bytes) {
  const step = Math.min(BYTES.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${formatNumber(Number(value.toPrecision(value < 100 ? 2 : 3)))}\u202f${BYTES[step]}`;
}

export const formatTime = (value) => new Date(value).toISOString().slice(0, 19).replace("T", " ");

/** Any property value as text. */
export function formatValue(name, value) {
  if (value === null || value === undefined || value === "") return "–";
  const { unit } = describe(name);
  if (typeof value === "number" && /time|updated$/i.test(name) && value > 1e8 && toTime(value)) return `${formatTime(toTime(value))}Z`;
  if (typeof value === "number") return unit === "°" ? `${formatNumber(value)}°` : `${formatNumber(value)}${unit && `\u202f${unit}`}`;
  if (typeof value === "string" && TIME_OF_DAY.test(value) && !Number.isNaN(toTime(value))) return `${formatTime(toTime(value))}Z`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
