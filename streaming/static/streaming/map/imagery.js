/**
 * The tilesets of the page: a row in the panel and a layer of the map for each, above the base map and below the names of places; vector
 * tiles above images. Events: `change` (which are shown), `refused` ({title, error}).
 */
import { setText } from "./dom.js";
import { gettext, interpolate, ngettext } from "./gettext.js";
import { formatBytes, formatNumber } from "./properties.js";
import { TilesetRow } from "./tileset-row.js";

const PANES = { tiles: 160, "vector-tiles": 165 };

/** @param {{tiles: number, received: number, whole: number}} stats */
export function describeTraffic({ tiles, received, whole }) {
  const saved = whole > 0 ? Math.floor((1 - received / whole) * 100) : 0;
  const count = interpolate(ngettext("%(count)s tile", "%(count)s tiles", tiles), { count: formatNumber(tiles) });
  const saving = interpolate(gettext("%(percent)s saved by deltas"), { percent: `${saved}\u202f%` });
  return [count, formatBytes(received), ...(saved > 0 ? [saving] : [])].join(" · ");
}

export class Imagery extends EventTarget {
  #rows = [];
  #figure;
  #page;
  #section;
  #made = 0;

  /**
   * @param {{map: object, client: object, calm: MediaQueryList, theme: import("./theme.js").Theme, section: HTMLElement}} page
   * @param {{name: string, title: string, vector: boolean}[]} tilesets
   * @param {string[] | null} chosen by name; null: none
   */
  constructor({ section, ...page }, tilesets, chosen) {
    super();
    for (const [pane, zIndex] of Object.entries(PANES)) Object.assign(page.map.createPane(pane).style, { zIndex, pointerEvents: "none" });
    this.#figure = section.querySelector("[data-figure]");
    this.#page = page;
    this.#section = section;
    for (const tileset of tilesets) this.#add(tileset);
    section.hidden = tilesets.length === 0;
    for (const row of this.#rows) if (chosen?.includes(row.name)) row.switch(true);
  }

  /** The names of those that are shown; null if there are none to choose from. */
  get shown() {
    return this.#rows.length > 0 ? this.#rows.filter(({ on }) => on).map(({ name }) => name) : null;
  }

  /** By name. @returns {Record<string, import("../geostream.js").TileSubscription>} */
  get subscriptions() {
    return Object.fromEntries(this.#rows.filter(({ subscription }) => subscription).map(({ name, subscription }) => [name, subscription]));
  }

  /** An event of the server: tilesets come and go while the page is open. New ones are offered, and off. */
  take({ type, payload }) {
    const name = payload?.tileset;
    if (type !== "custom" || payload?.source !== `tileset:${name}`) return;
    const row = this.#rows.find((each) => each.name === name);
    if (payload.event === "tileset_created" && !row) this.#add({ name, title: payload.title, vector: false });
    if (payload.event === "tileset_removed" && row) this.#remove(row);
    this.#section.hidden = this.#rows.length === 0;
  }

  #add(tileset) {
    const row = this.#row(tileset, this.#made++);
    this.#rows.push(row);
    this.#section.querySelector("ul").append(row.item);
  }

  #remove(row) {
    if (row.on) row.switch(false);
    row.item.remove();
    this.#rows = this.#rows.filter((each) => each !== row);
    this.#count();
  }

  #row(tileset, ordinal) {
    const row = new TilesetRow(tileset, ordinal, this.#page);
    row.addEventListener("figures", () => this.#count());
    row.addEventListener("change", () => {
      this.#count();
      this.dispatchEvent(new Event("change"));
    });
    row.addEventListener("refused", ({ detail }) => this.dispatchEvent(new CustomEvent("refused", { detail })));
    return row;
  }

  #count() {
    const stats = Object.values(this.subscriptions).map((subscription) => subscription.stats);
    const sum = (name) => stats.reduce((total, each) => total + each[name], 0);
    setText(this.#figure, stats.length ? describeTraffic({ tiles: sum("tiles"), received: sum("received"), whole: sum("whole") }) : "");
  }
}
