/** The map of the page Connections: the boxes that clients look at, or the features that one of them holds. */
import { BaseMap } from "../map/basemap.js";
import { element } from "../map/dom.js";
import { CANVAS } from "../map/theme.js";

const L = globalThis.L;
const WORLD = [
  [-58, -170],
  [78, 178],
];

/** The colours of the base map, in the theme that the admin has now. */
const theme = {
  get colours() {
    const { theme: chosen } = document.documentElement.dataset;
    const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    return CANVAS[dark ? "dark" : "light"];
  },
};

/** @returns a map of the world in an element */
function worldMap(container, source, label) {
  const map = L.map(container, { minZoom: 0, maxZoom: 14, zoomSnap: 0.25, worldCopyJump: true, attributionControl: false });
  container.setAttribute("aria-label", label);
  map.fitBounds(WORLD, { animate: false });
  const base = new BaseMap(theme, source).addTo(map);
  new MutationObserver(() => base.redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => base.redraw());
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(container);
  return map;
}

/** Corners of a box in degrees; east of its west edge also across the antimeridian. */
const corners = ([west, south, east, north]) => [
  [south, west],
  [north, east < west ? east + 360 : east],
];

/** Text for a tooltip, which would read a string as HTML. */
const label = (text) => element("span", {}, text);

const keyOf = ({ connection, subscription }) => `${connection}/${subscription}`;

export class BoxMap {
  #shapes = new Map();
  #chosen = null;

  /** @param {(connection: string) => void} choose called with the connection whose box was clicked */
  constructor(container, source, choose) {
    this.map = worldMap(container, source, "The boxes that clients look at");
    this.choose = choose;
  }

  show(boxes) {
    const wanted = new Set(boxes.map(keyOf));
    for (const [key, { shape }] of this.#shapes) {
      if (wanted.has(key)) continue;
      shape.remove();
      this.#shapes.delete(key);
    }
    for (const each of boxes) this.#draw(each);
  }

  /** Mark the boxes of one connection; `look`: and look at them. */
  mark(connection, look = false) {
    this.#chosen = connection;
    const own = [];
    for (const entry of this.#shapes.values()) {
      this.#style(entry);
      if (entry.connection === connection) own.push(entry.shape.getBounds());
    }
    if (look && own.length) this.map.fitBounds(own.reduce((all, each) => all.extend(each)), { maxZoom: 10, padding: [30, 30], animate: false });
  }

  #draw(each) {
    const key = keyOf(each);
    const known = this.#shapes.get(key);
    if (known) {
      known.shape.setBounds(corners(each.box));
      return;
    }
    const shape = L.rectangle(corners(each.box), { weight: 1.5 }).addTo(this.map);
    const entry = { shape, connection: each.connection };
    this.#shapes.set(key, entry);
    shape.bindTooltip(label(`${each.user || "anonymous"}: ${each.feed}`), { sticky: true }).on("click", () => this.choose(each.connection));
    this.#style(entry);
    shape.getElement()?.setAttribute("data-box", key);
  }

  #style({ shape, connection }) {
    const chosen = connection === this.#chosen;
    shape.setStyle({ color: chosen ? "#e11d48" : theme.colours.accent, fillOpacity: chosen ? 0.16 : 0.06, weight: chosen ? 2.5 : 1.5 });
    if (chosen) shape.bringToFront();
  }
}

export class FeatureMap {
  #layer = null;

  constructor(container, source) {
    this.map = worldMap(container, source, "The features that the client holds");
  }

  show(features) {
    this.#layer?.remove();
    const { accent } = theme.colours;
    this.#layer = L.geoJSON(features, {
      style: { color: accent, weight: 2, fillOpacity: 0.2 },
      pointToLayer: (feature, at) => L.circleMarker(at, { radius: 5 }),
      onEachFeature: (feature, shape) => shape.bindTooltip(label(String(feature.id))),
    }).addTo(this.map);
    this.map.invalidateSize({ animate: false });
    const bounds = this.#layer.getBounds();
    if (bounds.isValid()) this.map.fitBounds(bounds, { maxZoom: 8, padding: [20, 20], animate: false });
  }
}
