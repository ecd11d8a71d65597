/**
 * The tilesets of the page: a row in the panel and a layer of the map for each, below the features and above the base map.
 * Events: `change` (which are shown), `refused` ({title, error}).
 */
import { element, setText } from "./dom.js";
import { formatNumber } from "./properties.js";
import { LiveTileLayer } from "./tile-layer.js";

const VECTOR_TIP = "Vector tiles, for MapLibre and others: not drawn here";
const UNITS = ["B", "kB", "MB", "GB"];

export function formatBytes(bytes) {
  const step = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${formatNumber(Number(value.toPrecision(value < 100 ? 2 : 3)))}\u202f${UNITS[step]}`;
}

/** @param {{tiles: number, received: number, whole: number}} stats */
export function describeTraffic({ tiles, received, whole }) {
  const saved = whole > 0 ? Math.floor((1 - received / whole) * 100) : 0;
  const parts = [`${formatNumber(tiles)} tiles`, formatBytes(received)];
  return [...parts, ...(saved > 0 ? [`${saved}\u202f% saved by deltas`] : [])].join(" · ");
}

/** Attributions come from files and from whoever wrote them, with links in them or worse; of that, the text. */
function plainText(markup) {
  const text = new DOMParser().parseFromString(markup, "text/html").body.textContent.trim();
  return element("span", {}, text).innerHTML;
}

export class Imagery extends EventTarget {
  #map;
  #client;
  #calm;
  #rows = new Map();
  #figure;

  /**
   * @param {{map: object, client: object, calm: MediaQueryList, section: HTMLElement}} parts
   * @param {{name: string, title: string, vector: boolean}[]} tilesets @param {string[] | null} chosen by name; null: the first
   */
  constructor({ map, client, calm, section }, tilesets, chosen) {
    super();
    Object.assign(map.createPane("tiles").style, { zIndex: 160, pointerEvents: "none" });
    this.#map = map;
    this.#client = client;
    this.#calm = calm;
    this.#figure = section.querySelector("[data-figure]");
    const list = section.querySelector("ul");
    for (const tileset of tilesets) list.append(this.#row(tileset));
    section.hidden = tilesets.length === 0;
    const on = new Set(
      chosen ??
        tilesets
          .filter(({ vector }) => !vector)
          .slice(0, 1)
          .map(({ name }) => name),
    );
    for (const [name, { toggle }] of this.#rows) if (on.has(name) && !toggle.disabled) this.#switch(name, true);
  }

  /** The names of those that are shown; null if there are none to choose from. */
  get shown() {
    return this.#rows.size > 0 ? [...this.#rows].filter(([, { toggle }]) => toggle.checked).map(([name]) => name) : null;
  }

  /** By name. @returns {Record<string, import("../geostream.js").TileSubscription>} */
  get subscriptions() {
    return Object.fromEntries([...this.#rows].map(([name, { layer }]) => [name, layer.subscription]).filter(([, found]) => found));
  }

  #row(tileset) {
    const { name, title, vector } = tileset;
    const toggle = element("input", {
      type: "checkbox",
      role: "switch",
      class: "switch",
      id: `tiles-${name}`,
      "data-testid": `tiles-${name}-toggle`,
    });
    const opacity = element("input", {
      type: "range",
      min: "10",
      max: "100",
      value: "100",
      class: "opacity",
      "aria-label": `Opacity of ${title}`,
    });
    opacity.hidden = true;
    const item = element(
      "li",
      {},
      element("label", { for: `tiles-${name}` }, element("span", { class: "layer-title" }, title)),
      toggle,
      opacity,
    );
    const layer = new LiveTileLayer(this.#client, name, this.#calm);
    const row = { toggle, opacity, layer, item, title, credit: "" };
    this.#rows.set(name, row);
    toggle.addEventListener("change", () => this.#toggled(name));
    opacity.addEventListener("input", () => layer.setOpacity(opacity.value / 100));
    layer.on("described", ({ info }) => this.#describe(name, info));
    layer.on("figures", () => this.#count());
    layer.on("refused", ({ error }) => this.#refused(name, error));
    if (vector) this.#disable(row);
    return item;
  }

  #toggled(name) {
    this.#switch(name, this.#rows.get(name).toggle.checked);
    this.dispatchEvent(new Event("change"));
  }

  #switch(name, on) {
    const row = this.#rows.get(name);
    row.toggle.checked = on;
    row.opacity.hidden = !on;
    if (on) row.layer.addTo(this.#map);
    else row.layer.remove();
    this.#attribute(row, on ? row.credit : "");
    this.#count();
  }

  #describe(name, { format, attribution }) {
    const row = this.#rows.get(name);
    if (format === "mvt") {
      this.#switch(name, false);
      this.#disable(row);
      this.dispatchEvent(new Event("change"));
      return;
    }
    this.#attribute(row, "");
    row.credit = plainText(attribution);
    this.#attribute(row, row.credit);
  }

  #attribute(row, credit) {
    const control = this.#map.attributionControl;
    if (row.credited) control.removeAttribution(row.credited);
    if (credit) control.addAttribution(credit);
    row.credited = credit;
  }

  #disable({ toggle, item }) {
    toggle.disabled = true;
    item.title = VECTOR_TIP;
    item.querySelector("label").append(element("small", {}, "vector tiles: for MapLibre"));
  }

  #refused(name, error) {
    const { layer, title } = this.#rows.get(name);
    if (layer.subscription?.closed) this.#switch(name, false);
    this.dispatchEvent(new CustomEvent("refused", { detail: { title, error } }));
  }

  #count() {
    const stats = Object.values(this.subscriptions).map((subscription) => subscription.stats);
    const sum = (name) => stats.reduce((total, each) => total + each[name], 0);
    setText(this.#figure, stats.length ? describeTraffic({ tiles: sum("tiles"), received: sum("received"), whole: sum("whole") }) : "");
  }
}
