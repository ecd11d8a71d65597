/** The plain colours of layers, and what fits a property of which nothing is known but its name and values. */
const PLAIN = {
  dark: ["#2dd4bf", "#fbbf24", "#f472b6", "#818cf8", "#a3e635", "#38bdf8", "#fb923c", "#e879f9"],
  light: ["#0d9488", "#c27803", "#c0327d", "#4f46e5", "#4d7c0f", "#0369a1", "#c2410c", "#a21caf"],
};

export const PLAIN_COLOURS = PLAIN.dark.length;

/** @param {"dark" | "light"} theme @param {number} ordinal */
export const plainColour = (theme, ordinal) => PLAIN[theme][ordinal % PLAIN_COLOURS];

/** The palette for the values of a property, by its name. */
export const paletteFor = (property) => (/alt|elev|height|level/i.test(property) ? "spectrum" : "sunset");

/** The `color` of a style for a property: from the least to the greatest value that is seen. */
export const rampFor = (property) => ({ property, type: "interpolate", palette: paletteFor(property) });

/**
 * From which to which value the ramp goes, in round numbers: of altitudes all there are (a change of them is noticed),
 * of other measures all but the outermost fiftieths. One value, if there is no other.
 */
export function domainFor(property, values) {
  if (values.length === 0) return [0, 1];
  const sorted = Float64Array.from(values).sort();
  const cut = takesAll(property) ? 0 : 0.02;
  const at = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
  const [low, high] = at(cut) < at(1 - cut) ? [at(cut), at(1 - cut)] : [at(0), at(1)];
  if (low === high) return [low, high];
  const step = 10 ** Math.floor(Math.log10(high - low)) / (cut ? 10 : 2);
  const rounded = Math.floor(low / step) * step;
  return [sorted[0] > -0.05 * high && rounded < 0 ? 0 : rounded, Math.ceil(high / step) * step];
}

/** Whether a value outside a domain of this property makes it larger. */
export const takesAll = (property) => paletteFor(property) === "spectrum";
