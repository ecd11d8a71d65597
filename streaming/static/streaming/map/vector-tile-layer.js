/**
 * A Leaflet layer of vector tiles that arrive over the socket, painted here in the colours of the theme. Beyond the last zoom that there is,
 * parts of its tiles are painted at the size of the map, as sharp as any. Fires `coloured` when its colours are new, besides what every
 * live tile layer fires.
 */
import { plainColour } from "./palette.js";
import { LiveTileLayer } from "./tile-layer.js";
import { tileFor } from "./tile-range.js";
import { layersOf, paintLayers } from "./vector-painter.js";

const L = globalThis.L;
const MAX_RATIO = 2;

/** Leaflet's zooms are those of tiles of 256 pixels; of larger ones a zoom earlier shows the same. */
const zoomsBehind = (tileSize) => Math.log2(tileSize / 256);

export const LiveVectorLayer = LiveTileLayer.extend({
  options: { pane: "vector-tiles", tileSize: 512, minNativeZoom: 1, lastZoom: Infinity },

  /** @param {import("./theme.js").Theme} theme @param {number} ordinal of its first colour */
  initialize(client, tileset, calm, theme, ordinal, options) {
    LiveTileLayer.prototype.initialize.call(this, client, tileset, calm, options);
    Object.assign(this, { theme, ordinal });
    this._ordinals = new Map();
    this._repaint = () => this._repaintAll();
  },

  onAdd(map) {
    this.theme.addEventListener("change", this._repaint);
    return LiveTileLayer.prototype.onAdd.call(this, map);
  },

  onRemove(map) {
    this.theme.removeEventListener("change", this._repaint);
    LiveTileLayer.prototype.onRemove.call(this, map);
  },

  /** The colour of each layer that its tiles have had so far. */
  swatch() {
    const ordinals = this._ordinals.size > 0 ? [...this._ordinals.values()] : [this.ordinal];
    return ordinals.map((ordinal) => plainColour(this.theme.name, ordinal));
  },

  _conditions: () => ({ pictures: null, delta: ["prefix+zstd"] }),

  _tileFor(coords) {
    return tileFor(coords, zoomsBehind(this.options.tileSize), this.options.lastZoom);
  },

  /** Features may come to lie anywhere, so the bounds they have now are no reason to leave a place out. */
  _gridOf({ min_zoom: minZoom, max_zoom: lastZoom, tile_size: tileSize }) {
    const minNativeZoom = minZoom + zoomsBehind(tileSize);
    return { tileSize, lastZoom, minNativeZoom, minZoom: Math.max(0, minNativeZoom - 2) };
  },

  _draw(place, { bytes }) {
    if (!bytes) return;
    const ratio = Math.min(MAX_RATIO, globalThis.devicePixelRatio || 1);
    const side = this.options.tileSize * ratio;
    Object.assign(place.canvas, { width: side, height: side });
    try {
      paintLayers(place.canvas.getContext("2d"), layersOf(bytes), this._look(), { side, ratio, part: place.part });
    } catch (error) {
      this.fire("refused", { error: { code: "bad_tile", message: `tile ${place.key}: ${error.message}` } });
    }
  },

  _look() {
    const colourOf = (name) => plainColour(this.theme.name, this._ordinalOf(name));
    return { colourOf, rim: this.theme.colours.outline };
  },

  _ordinalOf(name) {
    if (!this._ordinals.has(name)) {
      this._ordinals.set(name, this.ordinal + this._ordinals.size);
      this.fire("coloured");
    }
    return this._ordinals.get(name);
  },

  _repaintAll() {
    for (const place of this._allPlaces()) {
      const held = this.subscription?.get(this.tileset, place.z, place.x, place.y);
      if (held) this._draw(place, held);
    }
    this.fire("coloured");
  },
});
