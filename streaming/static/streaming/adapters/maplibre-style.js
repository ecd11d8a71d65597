/** The style of a GeoStream layer as MapLibre's layers have it. */
import { NO_VALUE, paletteStops } from "../style/palettes.js";
import { ID as OF_ID } from "../style/values.js";
import { ID } from "./maplibre-diff.js";

/**
 * @typedef {object} LayerStyle the `style` of a layer, as the API has it (`GET /api/layers/{layer}/`)
 * @property {1} version
 * @property {any} [color]
 * @property {any} [size]
 * @property {any} [icon]
 * @property {{property: string}} [rotate]
 * @property {{property: string, min_zoom?: number}} [label]
 *
 * @typedef {object} StyleOptions
 * @property {"dark" | "light"} [theme] of the map, for palettes
 * @property {string} [plain] the color of a layer whose style has none
 * @property {[number, number]} [domain] for a palette without one
 *
 * @typedef {{paint: Record<string, any>, layout?: Record<string, any>, minzoom?: number}} StyledLayer
 */

const LABELS_FROM_ZOOM = 6.5;
/** MapLibre counts zooms by tiles of 512 pixels, the style by tiles of 256. */
const LESS = 1;
const USUAL_SIZE = 9;

/**
 * What layers of MapLibre with these types look like: `map.addLayer({id, type: "circle", source, ...mapLibreLayers(style).circle})`. Icons are
 * images that the map has under the names of the style (`arrow`, `aircraft` …). Without effect: `$z` and `$time`.
 * @param {LayerStyle} style @param {StyleOptions} [options]
 * @returns {{circle: StyledLayer, line: StyledLayer, fill: StyledLayer, symbol: StyledLayer}}
 */
export function mapLibreLayers(style, { theme = "light", plain = "#0d9488", domain = [0, 1] } = {}) {
  const color = colorOf(style.color ?? plain, theme, domain);
  const size = sizeOf(style.size ?? USUAL_SIZE);
  const labels = style.label && { "text-field": ["to-string", ["coalesce", get(style.label.property), ""]], "text-anchor": "left", "text-offset": [1, 0] };
  const icons = (style.icon || style.rotate) && { "icon-image": iconOf(style.icon ?? "arrow"), "icon-allow-overlap": true };
  const turned = style.rotate && { "icon-rotate": numberOr(get(style.rotate.property), 0, (value) => value), "icon-rotation-alignment": "map" };
  return {
    circle: { paint: { "circle-color": color, "circle-radius": ["/", size, 2] } },
    line: { paint: { "line-color": color, "line-width": 2 } },
    fill: { paint: { "fill-color": color, "fill-opacity": 0.16 } },
    symbol: {
      layout: { ...labels, ...icons, ...turned, ...(labels && icons && { "text-optional": true }) },
      paint: {},
      ...(labels && !icons && { minzoom: Math.max(0, (style.label?.min_zoom ?? LABELS_FROM_ZOOM) - LESS) }),
    },
  };
}

/** @param {string} property */
const get = (property) => ["get", property === OF_ID ? ID : property];

/** An output for numbers, and another one for all else. @param {any} input @param {any} other @param {(input: any) => any} output */
const numberOr = (input, other, output) => ["case", ["==", ["typeof", input], "number"], output(input), other];

/** @param {any} color @param {"dark" | "light"} theme @param {[number, number]} domain */
function colorOf(color, theme, domain) {
  if (typeof color === "string") return color;
  if (color.type === "match") return matched(color);
  const stops = color.stops ?? paletteStops(color.palette, theme, color.domain ?? domain);
  const none = color.default ?? NO_VALUE;
  if (color.type === "step") return numberOr(get(color.property), none, (input) => ["step", input, stops[0][1], ...stops.slice(1).flat()]);
  return interpolated(color.property, stops, none);
}

/** @param {any} size */
function sizeOf(size) {
  return typeof size === "number" ? size : interpolated(size.property, size.stops, size.default ?? size.stops[0][1]);
}

/** @param {any} icon */
function iconOf(icon) {
  return typeof icon === "string" ? icon : matched(icon);
}

/** @param {string} property @param {[number, any][]} stops @param {any} none */
function interpolated(property, stops, none) {
  return numberOr(get(property), none, (input) => ["interpolate", ["linear"], input, ...stops.flat()]);
}

/** MapLibre's `match` takes no booleans, and no two types. @param {{property: string, cases: [any, any][], default: any}} scale */
function matched({ property, cases, default: other }) {
  return ["case", ...cases.flatMap(([value, output]) => [["==", get(property), value], output]), other];
}
