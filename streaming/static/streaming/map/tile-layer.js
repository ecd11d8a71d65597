/**
 * A Leaflet layer of tiles that arrive over the socket. The subscription follows the map; every place on the map is a canvas, painted when its
 * tile comes and again whenever it changes. This one shows images; `vector-tile-layer.js` makes of it one for vector tiles.
 * Fires `described` (what the server says of the tileset), `figures` and `refused` ({error}).
 */
import { viewOf } from "./tile-range.js";

const L = globalThis.L;
const RETRY_AFTER = 2_000;
/** Refusals of a new view that may be over in a moment, or that a new subscription explains. */
const RETRIED = new Set(["rate_limited", "redis_unavailable", "internal", "unknown_subscription"]);
const FLASH = [
  { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  { outline: "2px solid transparent", outlineOffset: "-2px" },
];

export const LiveTileLayer = L.GridLayer.extend({
  options: { pane: "tiles", keepBuffer: 1, updateWhenIdle: false, updateInterval: 150 },

  /** @param {import("../geostream.js").GeoStreamClient} client @param {string} tileset @param {MediaQueryList} calm */
  initialize(client, tileset, calm, options) {
    L.GridLayer.prototype.initialize.call(this, options);
    Object.assign(this, { client, tileset, calm, subscription: null });
    this._places = new Map();
    this._asked = null;
    this.on("tileunload", ({ tile }) => this._forgetPlace(tile));
  },

  getEvents() {
    return { ...L.GridLayer.prototype.getEvents.call(this), zoomend: this._leaveIfOutside };
  },

  onRemove(map) {
    this._leave();
    L.GridLayer.prototype.onRemove.call(this, map);
  },

  /** One canvas; copies of the world share a tile, not a canvas. */
  createTile(coords, done) {
    const canvas = L.DomUtil.create("canvas", "live-tile");
    const { z, x, y, part } = this._tileFor(coords);
    const place = { canvas, done, painted: false, key: `${z}/${x}/${y}`, z, x, y, part };
    if (!this._places.has(place.key)) this._places.set(place.key, new Set());
    this._places.get(place.key).add(place);
    const held = this.subscription?.get(this.tileset, z, x, y);
    if (held) this._draw(place, held);
    if (held) queueMicrotask(() => this._settle(place));
    return canvas;
  },

  /** Which tile a square of the map shows. */
  _tileFor: (coords) => coords,

  *_allPlaces() {
    for (const places of this._places.values()) yield* places;
  },

  _update(center) {
    L.GridLayer.prototype._update.call(this, center);
    if (this._map && this._tileZoom !== undefined) this._follow(this._tiledView(center ?? this._map.getCenter()));
  },

  _tiledView(center) {
    const { min, max } = this._pxBoundsToTileRange(this._getTiledPixelBounds(center));
    const padding = L.point(this.options.keepBuffer, this.options.keepBuffer);
    const corners = [min.subtract(padding), max.add(padding)].map(({ x, y }) => this._tileFor({ x, y, z: this._tileZoom }));
    return viewOf(corners[0].z, { min: corners[0], max: corners[1] });
  },

  _follow(view) {
    const wanted = JSON.stringify(view);
    if (wanted === this._asked) {
      if (this.subscription?.ready) queueMicrotask(() => this._settleAll());
      return;
    }
    this._asked = wanted;
    if (this.subscription) this.subscription.update(view);
    else this._subscribe(view);
  },

  _subscribe(view) {
    const subscription = this.client.subscribeTiles({ tileset: this.tileset, ...this._conditions(), ...view });
    this.subscription = subscription;
    const own = (handler) => (event) => this.subscription === subscription && handler(event.detail);
    const handlers = {
      view: () => this._describe(subscription.tilesets[this.tileset]),
      tile: (change) => this._show(change),
      ready: () => this._settleAll(),
      error: (error) => this._refused(error),
    };
    for (const [type, handler] of Object.entries(handlers)) subscription.addEventListener(type, own(handler));
  },

  _conditions: () => ({ tileSize: globalThis.devicePixelRatio > 1 ? 512 : 256 }),

  /** Which zooms there are is known only now. Leaflet's own `redraw` would take a fraction of a zoom for one. */
  _describe(info) {
    this.fire("described", { info });
    const grid = this._gridOf(info);
    const before = this._grid;
    this._grid = JSON.stringify(grid);
    if (before === this._grid) return;
    Object.assign(this.options, grid);
    if (!this._map) return;
    this._invalidateAll();
    this._resetView();
  },

  /** A map that is zoomed further shows the last zoom, larger. */
  _gridOf({ min_zoom: minNativeZoom, max_zoom: maxNativeZoom, bounds: [west, south, east, north] }) {
    const bounds = west <= east && east - west < 360 ? L.latLngBounds([south, west], [north, east]) : undefined;
    return { minNativeZoom, maxNativeZoom, minZoom: Math.max(0, minNativeZoom - 2), bounds };
  },

  _show(tile) {
    for (const place of this._places.get(`${tile.z}/${tile.x}/${tile.y}`) ?? []) {
      if (tile.empty) this._clear(place);
      else this._draw(place, tile);
      this._settle(place);
    }
    this.fire("figures");
  },

  /** Paint what is known of a tile. A change is pointed at. */
  _draw(place, { picture }) {
    if (!picture) return;
    const { width, height } = picture.canvas;
    const { canvas, painted: changed } = place;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(picture.canvas, 0, 0);
    place.painted = true;
    if (changed && !this.calm.matches) canvas.animate(FLASH, { duration: 1200, easing: "ease-out" });
  },

  _clear(place) {
    place.canvas.getContext("2d").clearRect(0, 0, place.canvas.width, place.canvas.height);
    place.painted = false;
  },

  _settle(place) {
    const { done, canvas } = place;
    place.done = null;
    done?.(null, canvas);
  },

  /** What has not come is empty. */
  _settleAll() {
    for (const place of this._allPlaces()) this._settle(place);
    this.fire("figures");
  },

  _forgetPlace(canvas) {
    for (const [key, places] of this._places) {
      for (const place of places) if (place.canvas === canvas) places.delete(place);
      if (places.size === 0) this._places.delete(key);
    }
  },

  _refused(error) {
    this._settleAll();
    this.fire("refused", { error });
    if (error.code === "bad_tile" || !this.subscription || this.subscription.closed) return;
    this._asked = null;
    if (!RETRIED.has(error.code)) return;
    if (error.code === "unknown_subscription") this._leave(); // the server has ended it
    setTimeout(() => this._map && this._update(), RETRY_AFTER);
  },

  _leaveIfOutside() {
    if (this._tileZoom === undefined) this._leave();
  },

  _leave() {
    this.subscription?.unsubscribe();
    this.subscription = null;
    this._asked = null;
  },
});
