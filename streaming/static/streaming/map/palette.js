/** Numbers to colours: ramps per theme, and the scale of one property with its domain and its legend texts. */
const RAMPS = {
  altitude: {
    dark: ["#ff6b4a", "#ffb02e", "#d8e34a", "#4fd18b", "#2fc4d6", "#5b8cff", "#b07bff"],
    light: ["#d9480f", "#d98209", "#8a9a0a", "#1f8f4e", "#0785a3", "#2f5fe0", "#7c3aed"],
  },
  sequential: {
    dark: ["#ffe08a", "#ffb35c", "#ff7a66", "#d9539a", "#8d5bd6", "#5668e8"],
    light: ["#e0a100", "#e0740f", "#d64545", "#b0307f", "#6d3fc0", "#2f4bc4"],
  },
};
const PLAIN = {
  dark: ["#2dd4bf", "#fbbf24", "#f472b6", "#818cf8", "#a3e635", "#38bdf8", "#fb923c", "#e879f9"],
  light: ["#0d9488", "#c27803", "#c0327d", "#4f46e5", "#4d7c0f", "#0369a1", "#c2410c", "#a21caf"],
};

export const PLAIN_COLOURS = PLAIN.dark.length;

/** How many colours a ramp is cut into; also the number of sprites of an atlas. */
export const STEPS = 24;

const channels = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

function mix(stops, fraction) {
  const place = fraction * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [channels(stops[index]), channels(stops[index + 1])];
  return `rgb(${a.map((value, n) => Math.round(value + (b[n] - value) * (place - index))).join(",")})`;
}

/** The STEPS colours of a ramp, or of a plain layer the same colour throughout. */
export function colours(ramp, theme, ordinal = 0) {
  const plain = PLAIN[theme][ordinal % PLAIN[theme].length];
  const stops = ramp ? RAMPS[ramp][theme] : [plain, plain];
  return Array.from({ length: STEPS }, (_, step) => mix(stops, step / (STEPS - 1)));
}

export const rampFor = (property) => (/alt|elev|height|level/i.test(property) ? "altitude" : "sequential");

/**
 * From which to which value the ramp goes, in round numbers: of altitudes all there are (a change of them is noticed),
 * of other measures all but the outermost fiftieths. One value, if there is no other.
 */
export function domainFor(property, values) {
  if (values.length === 0) return [0, 1];
  const sorted = Float64Array.from(values).sort();
  const cut = rampFor(property) === "altitude" ? 0 : 0.02;
  const at = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
  const [low, high] = at(cut) < at(1 - cut) ? [at(cut), at(1 - cut)] : [at(0), at(1)];
  if (low === high) return [low, high];
  const step = 10 ** Math.floor(Math.log10(high - low)) / (cut ? 10 : 2);
  const rounded = Math.floor(low / step) * step;
  return [sorted[0] > -0.05 * high && rounded < 0 ? 0 : rounded, Math.ceil(high / step) * step];
}

export function stepOf(value, [low, high]) {
  if (!Number.isFinite(value)) return 0;
  if (low === high) return Math.floor(STEPS / 2);
  return Math.round(Math.max(0, Math.min(1, (value - low) / (high - low))) * (STEPS - 1));
}
