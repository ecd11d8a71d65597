/** Light and dark: follows the system until the user chooses, then remembers it. Canvas colours live here, all others in theme.css. */
const STORED = "geostream-theme";

export const CANVAS = {
  dark: {
    ocean: "#0a1322",
    land: "#16243e",
    coast: "#2c4066",
    border: "#4d679a",
    province: "rgba(120,150,205,.2)",
    lakeName: "rgba(120,160,214,.85)",
    graticule: "rgba(140,170,220,.085)",
    country: "rgba(160,182,220,.8)",
    place: "rgba(198,212,238,.74)",
    halo: "#0d1829",
    label: "#e4edfb",
    outline: "rgba(5,12,24,.9)",
    accent: "#2dd4bf",
    veil: "#040912",
  },
  light: {
    ocean: "#d5e3ee",
    land: "#fbfaf6",
    coast: "#a9c0d3",
    border: "#9aa9bb",
    province: "rgba(110,125,145,.28)",
    lakeName: "rgba(62,110,158,.9)",
    graticule: "rgba(40,80,120,.09)",
    country: "rgba(70,92,118,.72)",
    place: "rgba(48,66,90,.82)",
    halo: "#fbfaf6",
    label: "#14233a",
    outline: "rgba(255,255,255,.95)",
    accent: "#0d9488",
    veil: "#6b7f95",
  },
};

export class Theme extends EventTarget {
  #system = matchMedia("(prefers-color-scheme: dark)");

  constructor() {
    super();
    this.#system.addEventListener("change", () => this.#announce());
  }

  /** @returns {"dark" | "light"} */
  get name() {
    return document.documentElement.dataset.theme ?? (this.#system.matches ? "dark" : "light");
  }

  get colours() {
    return CANVAS[this.name];
  }

  toggle() {
    const chosen = this.name === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem(STORED, chosen);
    this.#announce();
  }

  #announce() {
    this.dispatchEvent(new Event("change"));
  }
}
