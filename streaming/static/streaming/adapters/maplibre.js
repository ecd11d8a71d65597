/**
 * GeoStream in MapLibre GL JS 5 (and whatever has its methods): a layer as a GeoJSON source that is kept as it is by `updateData`, and the
 * tiles of a source loaded anew when they have changed. How they look is up to the layers of the map's style.
 *
 *     import { liveFeatures } from "geostream-client/maplibre";
 *     liveFeatures(map, client, "flights");
 *     map.addLayer({ id: "flights", type: "circle", source: "flights" });
 */
import { Frames } from "./frames.js";
import { LiveFeatures } from "./live-features.js";
import { ID, difference } from "./maplibre-diff.js";
import { TileWatch, withVersion } from "./tile-watch.js";

export { mapLibreLayers } from "./maplibre-style.js";

/** @import { GeoStreamClient } from "../client/client.js" */
/** @import { FeatureSubscription } from "../client/feature-subscription.js" */
/** @import { BBox } from "../client/messages.js" */
/** @import { TileNotice, TileNoticeSubscription } from "../client/tile-notice-subscription.js" */
/** @import { LiveFeatureOptions, Painted } from "./live-features.js" */
/** @import { LiveTileOptions } from "./tile-watch.js" */

/**
 * @typedef {object} MapLibreMap what is used of `maplibregl.Map`
 * @property {(id: string, source: any) => unknown} addSource
 * @property {(id: string) => any} getSource
 * @property {(id: string) => unknown} removeSource
 * @property {(id: string) => unknown} removeLayer
 * @property {() => {layers?: {id: string, source?: any}[]}} getStyle
 * @property {() => {toArray(): [[number, number], [number, number]]}} getBounds
 * @property {() => number} getZoom
 * @property {(type: any, listener: () => void) => unknown} on
 * @property {(type: any, listener: () => void) => unknown} off
 * @property {(source: string, tiles?: TileId[]) => void} refreshTiles
 * @property {(source: string) => boolean | undefined} isSourceLoaded
 *
 * @typedef {{x: number, y: number, z: number}} TileId
 *
 * @typedef {object} SourceOptions
 * @property {string} [source] the id of the source that is added to the map; the name of the layer if absent
 * @property {object} [sourceOptions] more of the source: `{cluster: true}`, `{attribution: "…"}`
 * @property {boolean} [follow] false: all that matches, not only what is in view
 *
 * @typedef {object} LiveSource
 * @property {string} source the id of the source
 * @property {FeatureSubscription} subscription its `features`, `update()`, events
 * @property {() => Promise<void>} remove takes the source, and the layers that show it, from the map, and ends the subscription
 *
 * @typedef {object} LiveTiles
 * @property {TileNoticeSubscription} subscription
 * @property {() => Promise<void>} remove ends the subscription; the source stays on the map as it is
 */

/**
 * Add a source to a map and keep it as the layer is. Features have their id in the property `@id` (also for `feature-state` and in
 * `queryRenderedFeatures`), and of a subscription to every layer their layer in `@layer`; parts of a property that is an object, such as the
 * mean of an aggregate, are properties too: `speed.mean`.
 * @param {MapLibreMap} map whose style has been loaded
 * @param {GeoStreamClient} client @param {string | null} layer null: every layer
 * @param {LiveFeatureOptions & SourceOptions} [options]
 * @returns {LiveSource}
 */
export function liveFeatures(map, client, layer, options = {}) {
  const { source: id = layer ?? "geostream", sourceOptions, follow = true, ...rest } = options;
  const add = () => map.addSource(id, { type: "geojson", ...sourceOptions, data: EMPTY, promoteId: ID });
  add();
  const painter = {
    ready: () => map.getSource(id)?.loaded() ?? false,
    paint: (/** @type {Painted[]} */ entries) => map.getSource(id).updateData(difference(entries, layer === null)),
  };
  const features = new LiveFeatures(client, layer, rest, painter, follow ? () => lookOf(map) : null);
  const styled = () => {
    if (map.getSource(id)) return;
    add(); // another style has been set: it has none of what was added to the one before
    features.restart();
  };
  const leave = listening(map, { move: () => features.moved(), styledata: styled }, () => features.remove());
  const remove = () => {
    const left = leave();
    removeSource(map, id);
    return left;
  };
  return { source: id, subscription: features.subscription, remove };
}

/**
 * Load the tiles of a source again when they have changed; what was there stays in sight until then.
 * @param {MapLibreMap} map @param {string} source the id of a source, `vector` or `raster`, whose tiles are those of the tileset
 * @param {GeoStreamClient} client @param {string} tileset @param {LiveTileOptions} [options]
 * @returns {LiveTiles}
 */
export function liveTiles(map, source, client, tileset, options = {}) {
  const stale = new StaleTiles(map, source);
  const watcher = {
    changed: (/** @type {TileNotice} */ { tiles, version }) => stale.add(tiles, version),
    watched: () => stale.add(null),
  };
  const watch = new TileWatch(client, tileset, options, watcher, () => lookOf(map));
  const listeners = { move: () => watch.moved(), moveend: () => stale.moved() };
  const remove = listening(map, listeners, () => {
    stale.stop();
    return watch.remove();
  });
  return { subscription: watch.subscription, remove };
}

/** Tiles of a source to be loaded again, as soon as it has loaded everything: one that is being loaded may be from before the change. */
class StaleTiles {
  #map;
  #source;
  /** By name; "" for all. @type {Map<string, TileId | null>} */
  #tiles = new Map();
  /** Whether tiles that MapLibre keeps for views to come may be out of date. */
  #keptAreStale = false;
  /** @type {Frames<"refresh">} */
  #frames;

  /** @param {MapLibreMap} map @param {string} source */
  constructor(map, source) {
    this.#map = map;
    this.#source = source;
    const ready = () => Boolean(map.getSource(source)) && map.isSourceLoaded(source) === true;
    this.#frames = new Frames({ budget: 1, ready, step: () => this.#refresh() });
  }

  /** @param {TileId[] | null} tiles null: all @param {string | null} [version] */
  add(tiles, version = null) {
    if (version !== null) this.#ask(version);
    if (tiles) for (const tile of tiles) this.#tiles.set(`${tile.z}/${tile.x}/${tile.y}`, tile);
    else this.#tiles.set("", null);
    this.#frames.add(["refresh"]);
  }

  /** `refreshTiles` passes over those that are out of sight: after a move, all are to be looked at. */
  moved() {
    if (this.#keptAreStale) this.add(null);
  }

  stop() {
    this.#frames.stop();
  }

  /** What is loaded from now on is to be of this state of the tileset. @param {string} version */
  #ask(version) {
    const source = this.#map.getSource(this.#source);
    if (source?.tiles) source.tiles = source.tiles.map((/** @type {string} */ url) => withVersion(url, version));
  }

  #refresh() {
    const all = this.#tiles.has("");
    const tiles = [...this.#tiles.values()].filter((tile) => tile !== null);
    this.#tiles.clear();
    this.#keptAreStale = !all;
    this.#map.refreshTiles(this.#source, all ? undefined : tiles);
  }
}

/**
 * Listen to a map until it is removed.
 * @param {MapLibreMap} map @param {Record<string, () => void>} listeners @param {() => Promise<void>} end
 * @returns {() => Promise<void>} what ends it before that
 */
function listening(map, listeners, end) {
  const leave = () => {
    for (const [type, listener] of Object.entries(all)) map.off(type, listener);
    return end();
  };
  const all = { ...listeners, remove: leave };
  for (const [type, listener] of Object.entries(all)) map.on(type, listener);
  return leave;
}

const EMPTY = { type: "FeatureCollection", features: [] };

/** @param {MapLibreMap} map */
function lookOf(map) {
  return { bounds: /** @type {BBox} */ (map.getBounds().toArray().flat()), zoom: map.getZoom() };
}

/** @param {MapLibreMap} map @param {string} id */
function removeSource(map, id) {
  if (!map.getStyle() || !map.getSource(id)) return;
  for (const layer of map.getStyle().layers ?? []) if (layer.source === id) map.removeLayer(layer.id);
  map.removeSource(id);
}
