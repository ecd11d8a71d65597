/** Features on a map and in a table, as they come and go. */
import { BaseMap } from "../map/basemap.js";
import { element } from "../map/dom.js";
import { CANVAS } from "../map/theme.js";

const L = globalThis.L;
const MOST_ROWS = 200;
const MOST_DRAWN = 5000;
const dark = matchMedia("(prefers-color-scheme: dark)");
/** The admin's theme, which is "auto" where nobody has chosen. */
const theme = {
  get colours() {
    const chosen = document.documentElement.dataset.theme;
    return CANVAS[chosen in CANVAS ? chosen : dark.matches ? "dark" : "light"];
  },
};
const STYLE = { radius: 5, weight: 1.5, color: "#0d9488", fillOpacity: 0.5 };

export class FeedPicture {
  #features = new Map();
  #drawn = new Map();
  #fits = true;
  #timer = null;

  constructor({ map, rows, baseMap }) {
    this.rows = rows;
    this.map = L.map(map, { preferCanvas: true, attributionControl: false }).setView([20, 0], 1);
    const base = new BaseMap(theme, baseMap).addTo(this.map);
    dark.addEventListener("change", () => base.redraw());
    new MutationObserver(() => base.redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  get size() {
    return this.#features.size;
  }

  clear() {
    for (const layer of this.#drawn.values()) layer.remove();
    this.#drawn.clear();
    this.#features.clear();
    this.#fits = true;
    this.#paintSoon();
  }

  set(key, feature) {
    this.#features.delete(key); // the newest is first in the table
    this.#features.set(key, feature);
    this.#drawn.get(key)?.remove();
    this.#drawn.delete(key);
    if (feature.geometry && this.#drawn.size < MOST_DRAWN) {
      this.#drawn.set(key, L.geoJSON(feature, { style: STYLE, pointToLayer: (_, place) => L.circleMarker(place, STYLE) }).addTo(this.map));
    }
    this.#paintSoon();
  }

  delete(key) {
    this.#features.delete(key);
    this.#drawn.get(key)?.remove();
    this.#drawn.delete(key);
    this.#paintSoon();
  }

  #paintSoon() {
    this.#timer ??= setTimeout(() => this.#paint(), 100);
  }

  #paint() {
    this.#timer = null;
    const newest = [...this.#features].slice(-MOST_ROWS).reverse();
    this.rows.replaceChildren(
      ...newest.map(([key, feature]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, String(feature.id ?? key)),
          element("td", {}, element("code", {}, JSON.stringify(feature.properties ?? feature))),
        ),
      ),
    );
    if (this.#fits && this.#drawn.size) {
      this.#fits = false;
      const bounds = L.latLngBounds([]);
      for (const layer of this.#drawn.values()) bounds.extend(layer.getBounds());
      if (bounds.isValid()) this.map.fitBounds(bounds.pad(0.2), { maxZoom: 9, animate: false });
    }
  }
}
