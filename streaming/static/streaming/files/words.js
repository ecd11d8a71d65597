/** Sizes, times, kinds and refusals, for people. */
import { gettext, LANGUAGE } from "../map/gettext.js";
import { extensionOf } from "./paths.js";

const SPANS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const KINDS = {
  GeoJSON: ["geojson", "geojsonl", "geojsons", "ndjson"],
  GeoTIFF: ["tif", "tiff"],
  GeoPackage: ["gpkg"],
  FlatGeobuf: ["fgb"],
  GeoParquet: ["parquet", "geoparquet"],
  Shapefile: ["shp", "shx", "dbf"],
  MBTiles: ["mbtiles"],
  PMTiles: ["pmtiles"],
  [gettext("Table")]: ["csv", "tsv", "xlsx"],
  [gettext("Image")]: ["png", "jpg", "jpeg", "webp", "gif", "avif"],
  [gettext("Text")]: ["txt", "md", "log", "prj", "cpg", "tfw", "jgw", "pgw", "wld", "qpj"],
  JSON: ["json"],
  XML: ["xml", "gml", "kml", "gpx", "qml", "sld"],
  [gettext("Archive")]: ["zip", "gz", "zst", "7z", "tar", "kmz"],
  PDF: ["pdf"],
  [gettext("Point cloud")]: ["las", "laz"],
};
const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, extensions]) => extensions.map((extension) => [extension, kind])));
const WORDS = {
  unauthenticated: gettext("Log in first; perhaps your login has ended."),
  forbidden: gettext("You may not do this."),
  quota: gettext("The folder is full."),
  rate_limited: gettext("Too much at once; try again in a moment."),
  busy: gettext("Somebody else is changing this; try again in a moment."),
  case_conflict: gettext("There is a name that differs from it only in capital letters, or in how its letters are written."),
  hash_mismatch: gettext("It did not arrive as it was sent; try again."),
  not_found: gettext("It is not there any more."),
  exists: gettext("There is something of this name already."),
  changed: gettext("Somebody else has changed it meanwhile; look at it again."),
};
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });

/** What a file is, by its name. @param {{path: string, is_directory: boolean}} entry */
export function kindOf({ path, is_directory }) {
  if (is_directory) return gettext("Folder");
  const extension = extensionOf(path);
  return KIND_OF.get(extension) ?? (extension && extension.length <= 8 ? extension.toUpperCase() : gettext("File"));
}

/** @param {string} time RFC 3339 */
export const formatTime = (time) => absolute.format(new Date(time));

/** How long ago, or how far in the future, a time is: `3 minutes ago`. */
export function ago(time, now = Date.now()) {
  const seconds = (Date.parse(time) - now) / 1000;
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? [null, 1];
  return unit ? relative.format(Math.trunc(seconds / length), unit) : seconds > 0 ? gettext("in a moment") : gettext("just now");
}

/** @param {{code?: string, message: string}} refusal */
export function inWords({ code, message }) {
  if (message.startsWith("CSRF")) return gettext("You have logged in or out meanwhile: load this page again.");
  return Object.hasOwn(WORDS, code ?? "") ? WORDS[code] : sentence(message);
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}` : gettext("It was refused."));
