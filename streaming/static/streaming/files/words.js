/** Sizes, times, kinds and refusals, for people. */
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
  Table: ["csv", "tsv", "xlsx"],
  Image: ["png", "jpg", "jpeg", "webp", "gif", "avif"],
  Text: ["txt", "md", "log", "prj", "cpg", "tfw", "jgw", "pgw", "wld", "qpj"],
  JSON: ["json"],
  XML: ["xml", "gml", "kml", "gpx", "qml", "sld"],
  Archive: ["zip", "gz", "zst", "7z", "tar", "kmz"],
  PDF: ["pdf"],
  "Point cloud": ["las", "laz"],
};
const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, extensions]) => extensions.map((extension) => [extension, kind])));
const WORDS = {
  unauthenticated: "Log in first; perhaps your login has ended.",
  forbidden: "You may not do this.",
  quota: "The folder is full.",
  rate_limited: "Too much at once; try again in a moment.",
  busy: "Somebody else is changing this; try again in a moment.",
  case_conflict: "There is a name that differs from it only in capital letters, or in how its letters are written.",
  hash_mismatch: "It did not arrive as it was sent; try again.",
  not_found: "It is not there any more.",
  exists: "There is something of this name already.",
  changed: "Somebody else has changed it meanwhile; look at it again.",
};
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** What a file is, by its name. @param {{path: string, is_directory: boolean}} entry */
export function kindOf({ path, is_directory }) {
  if (is_directory) return "Folder";
  const extension = extensionOf(path);
  return KIND_OF.get(extension) ?? (extension && extension.length <= 8 ? extension.toUpperCase() : "File");
}

/** @param {string} time RFC 3339 */
export const formatTime = (time) => absolute.format(new Date(time));

/** How long ago, or how far in the future, a time is: `3 minutes ago`. */
export function ago(time, now = Date.now()) {
  const seconds = (Date.parse(time) - now) / 1000;
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? [null, 1];
  return unit ? relative.format(Math.trunc(seconds / length), unit) : seconds > 0 ? "in a moment" : "just now";
}

/** @param {{code?: string, message: string}} refusal */
export function inWords({ code, message }) {
  if (message.startsWith("CSRF")) return "You have logged in or out meanwhile: load this page again.";
  return Object.hasOwn(WORDS, code ?? "") ? WORDS[code] : sentence(message);
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}` : "It was refused.");
