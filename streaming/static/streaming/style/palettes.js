/** The palettes of interpolated colours: one for each theme, so that every colour stands out from the ground below it. */

/** @typedef {"dark" | "light"} ThemeName */
/** @type {Record<string, Record<ThemeName, string[]>>} */
export const PALETTES = {
  spectrum: {
    dark: ["#ff6b4a", "#ffb02e", "#d8e34a", "#4fd18b", "#2fc4d6", "#5b8cff", "#b07bff"],
    light: ["#d9480f", "#d98209", "#8a9a0a", "#1f8f4e", "#0785a3", "#2f5fe0", "#7c3aed"],
  },
  sunset: {
    dark: ["#ffe08a", "#ffb35c", "#ff7a66", "#d9539a", "#8d5bd6", "#5668e8"],
    light: ["#e0a100", "#e0740f", "#d64545", "#b0307f", "#6d3fc0", "#2f4bc4"],
  },
  viridis: {
    dark: ["#5a5bb0", "#3b7fa3", "#26a08f", "#4fc36b", "#a5dc36", "#fde725"],
    light: ["#440154", "#414487", "#2a788e", "#22a884", "#5fb83c", "#a8b80a"],
  },
  cividis: {
    dark: ["#4f6aa8", "#707a8c", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"],
    light: ["#00224e", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#b5a14c"],
  },
  "blue-red": {
    dark: ["#4393c3", "#92c5de", "#e8eef2", "#f4a582", "#e0604d"],
    light: ["#2166ac", "#5b95c4", "#a3a3a3", "#e2795c", "#b2182b"],
  },
};

/** Those whose colours people can tell apart who see fewer of them. */
export const COLOUR_BLIND_SAFE = new Set(["viridis", "cividis", "blue-red"]);

/** For categories: those of Okabe and Ito, which all can tell apart. */
export const CATEGORIES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#7a5cc0"];

/** Of what has no value. */
export const NO_VALUE = "#8a94a6";

/**
 * The colours of a palette, spread over a domain as stops.
 * @param {string} palette @param {ThemeName} theme @param {[number, number]} domain
 * @returns {[number, string][]}
 */
export function paletteStops(palette, theme, [low, high]) {
  const colours = (PALETTES[palette] ?? PALETTES.viridis)[theme];
  return colours.map((color, place) => [low + (high - low) * (place / (colours.length - 1)), color]);
}
