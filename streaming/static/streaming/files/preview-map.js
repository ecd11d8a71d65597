/** The map beside the list: where the files of the directory are, or the one that is chosen, as the live layer or tileset that it became. */
import { BaseMap } from "../map/basemap.js";
import { LayerScene } from "../map/layer-scene.js";
import { FeatureOverlay } from "../map/overlay.js";
import { TilesetRow } from "../map/tileset-row.js";
import { nameOf } from "./paths.js";

const L = globalThis.L;
const WORLD = [
  [-50, -130],
  [65, 150],
];
const PANES = { tiles: 160, "vector-tiles": 165 };
const CLOSEST = 14;
const CLOSEST_FIT = 9; // a single point is shown with the country around it

export class PreviewMap extends EventTarget {
  #theme;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #map;
  #overlay;
  #outlines = L.layerGroup();
  #client;
  #shown = "";
  #fitted = "";
  #fit = () => {};
  #leave = () => {};

  /**
   * @param {HTMLElement} container @param {import("../geostream.js").GeoStreamClient} client
   * @param {object} source of the base map @param {import("../map/theme.js").Theme} theme
   */
  constructor(container, client, source, theme) {
    super();
    this.#theme = theme;
    this.#client = client;
    this.#map = L.map(container, { zoomSnap: 0.25, minZoom: 0, maxZoom: CLOSEST, worldCopyJump: true, attributionControl: true });
    this.#map.attributionControl.setPrefix(false);
    this.#map.fitBounds(WORLD);
    for (const [pane, zIndex] of Object.entries(PANES)) Object.assign(this.#map.createPane(pane).style, { zIndex, pointerEvents: "none" });
    const base = new BaseMap(theme, source).addTo(this.#map);
    this.#overlay = new FeatureOverlay(theme, this.#calm).addTo(this.#map);
    this.#outlines.addTo(this.#map);
    theme.addEventListener("change", () => [base.redraw(), this.#overlay.setTheme()]);
    new ResizeObserver(() => this.#resized()).observe(container);
  }

  /** @param {object[]} ingests those of the directory @param {object | undefined} chosen one of them */
  show(ingests, chosen) {
    const live = chosen?.status === "ready" ? chosen : null;
    const key = live ? `${live.kind}:${live.layer ?? live.tileset}` : "";
    if (key !== this.#shown) this.#showLive(live, key);
    const shown = live ? [live] : ingests;
    this.#outline(live ? [] : ingests);
    this.#lookAt(shown, `${key}|${shown.map(({ path, bbox }) => [path, bbox])}`);
  }

  /** A map that was hidden could not be moved. */
  #resized() {
    this.#map.invalidateSize({ pan: false });
    this.#fit();
  }

  /** Small ones above large ones, so that all can be clicked. */
  #outline(ingests) {
    this.#outlines.clearLayers();
    const found = ingests.map((ingest) => ({ ingest, bounds: boundsOf(ingest) })).filter(({ bounds }) => bounds);
    for (const { ingest, bounds } of found.sort((one, other) => areaOf(other.bounds) - areaOf(one.bounds))) {
      const box = L.rectangle(bounds, { className: "file-outline", weight: 1.5 });
      box.bindTooltip(textNode(nameOf(ingest.path)), { sticky: true });
      box.on("click", () => this.dispatchEvent(new CustomEvent("choose", { detail: { path: ingest.path } })));
      box.addTo(this.#outlines);
    }
  }

  /** Once for what is shown: then the user may look elsewhere. */
  #lookAt(ingests, key) {
    if (key === this.#fitted) return;
    this.#fitted = key;
    const bounds = ingests.map(boundsOf).filter(Boolean);
    const all = bounds.reduce((sum, each) => sum.extend(each), L.latLngBounds(bounds[0] ?? WORLD));
    this.#fit = () => {
      if (this.#map.getSize().x === 0) return;
      this.#fit = () => {};
      this.#map.fitBounds(all, { padding: [18, 18], maxZoom: isPoint(all) ? CLOSEST_FIT : CLOSEST, animate: false });
    };
    this.#map.invalidateSize({ pan: false });
    this.#fit();
  }

  #showLive(ingest, key) {
    this.#leave();
    this.#leave = () => {};
    this.#shown = key;
    if (!ingest) return;
    if (ingest.kind === "tileset") this.#showTileset(ingest.tileset);
    else this.#showLayer(ingest.layer);
  }

  #showLayer(name) {
    const scene = new LayerScene({ name, title: name, time_property: null }, this.#theme.name);
    const subscription = this.#client.subscribeFeatures(name, { batch: true });
    this.#overlay.scenes = [scene];
    subscription.addEventListener("changes", ({ detail }) => {
      if (scene.apply(detail, performance.now(), !this.#calm.matches)) this.#overlay.painter.forget(scene);
      this.#overlay.redraw();
    });
    subscription.addEventListener("error", ({ detail }) => this.#refused(detail));
    this.#leave = () => {
      subscription.unsubscribe();
      this.#overlay.scenes = [];
      this.#overlay.redraw();
    };
  }

  #showTileset(name) {
    const page = { map: this.#map, client: this.#client, calm: this.#calm, theme: this.#theme };
    const row = new TilesetRow({ name, title: name, vector: false }, 0, page);
    row.addEventListener("refused", ({ detail }) => this.#refused(detail.error));
    row.switch(true);
    this.#leave = () => row.switch(false);
  }

  #refused({ message }) {
    this.dispatchEvent(new CustomEvent("refused", { detail: { message } }));
  }
}

function boundsOf({ bbox }) {
  if (!bbox) return null;
  const [west, south, east, north] = bbox;
  return L.latLngBounds([south, west], [north, east < west ? east + 360 : east]);
}

const isPoint = (bounds) => bounds.getSouthWest().equals(bounds.getNorthEast());
const areaOf = (bounds) => (bounds.getEast() - bounds.getWest()) * (bounds.getNorth() - bounds.getSouth());

function textNode(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span;
}
