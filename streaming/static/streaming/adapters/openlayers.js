/**
 * GeoStream in OpenLayers 10: a `VectorSource` that is kept as a layer is, and sources of tiles, images or vector tiles, whose tiles are
 * fetched again when they have changed. How they look is up to the styles of the map's layers.
 *
 *     import { liveFeatures } from "geostream-client/openlayers";
 *     const source = new VectorSource();
 *     liveFeatures(source, client, "flights", { format: new GeoJSON(), map });
 */
import { inView } from "../client/tile-view.js";
import { LiveFeatures } from "./live-features.js";
import { OpenLayersTiles } from "./openlayers-tiles.js";
import { TileWatch } from "./tile-watch.js";
import { boxOf } from "./view.js";

/** @import { GeoStreamClient } from "../client/client.js" */
/** @import { FeatureSubscription } from "../client/feature-subscription.js" */
/** @import { BBox } from "../client/messages.js" */
/** @import { TileNotice, TileNoticeSubscription } from "../client/tile-notice-subscription.js" */
/** @import { LiveFeatureOptions, Painted } from "./live-features.js" */
/** @import { OpenLayersTileSource, TilePlace } from "./openlayers-tiles.js" */
/** @import { LiveTileOptions, WatchedView } from "./tile-watch.js" */
/** @import { Look } from "./view.js" */

const DEGREES = "EPSG:4326";

/**
 * @typedef {object} OpenLayersFormat what is used of `ol/format/GeoJSON`
 * @property {(source: any, options?: any) => any} readFeature
 * @property {(object: any, options?: any) => any} readGeometry
 * @property {(geometry: any, options?: any) => any} writeGeometryObject
 *
 * @typedef {object} OpenLayersMap what is used of `ol/Map`
 * @property {() => any} getView
 * @property {() => any[]} getAllLayers
 * @property {(type: any, listener: () => void) => unknown} on
 * @property {(type: any, listener: () => void) => unknown} un
 *
 * @typedef {object} OpenLayersVectorSource what is used of `ol/source/Vector`
 * @property {(id: string | number) => any} getFeatureById
 * @property {(features: any[]) => void} addFeatures
 * @property {(features: any[]) => void} removeFeatures
 *
 * @typedef {object} VectorSourceOptions
 * @property {OpenLayersFormat} format `new GeoJSON()`
 * @property {OpenLayersMap} [map] whose view is followed; if absent, all that matches is sent
 * @property {any} [projection] of the features; that of the map's view, or Web Mercator, if absent
 *
 * @typedef {object} TileSourceOptions
 * @property {OpenLayersFormat} format `new GeoJSON()`
 * @property {OpenLayersMap} map whose view is followed
 * @property {(url: string) => Promise<Response>} [fetch] fetches a tile again, with headers of your own; if absent, the browser's
 *
 * @typedef {object} LiveVectorSource
 * @property {FeatureSubscription} subscription its `features`, `update()`, events
 * @property {() => Promise<void>} remove takes the features from the source, and ends the subscription
 *
 * @typedef {object} LiveTileSource
 * @property {TileNoticeSubscription} subscription
 * @property {() => Promise<void>} remove ends the subscription; the tiles stay as they are
 */

/**
 * Keep the features of a source as a layer of the server is. They stay the same objects while they change. Their id is that of the server,
 * and of a subscription to every layer the JSON text of `[layer, id]`.
 * @param {OpenLayersVectorSource} source @param {GeoStreamClient} client @param {string | null} layer null: every layer
 * @param {LiveFeatureOptions & VectorSourceOptions} options
 * @returns {LiveVectorSource}
 */
export function liveFeatures(source, client, layer, { format, map, projection, ...rest }) {
  const featureProjection = () => projection ?? map?.getView().getProjection() ?? "EPSG:3857";
  /** @param {Painted[]} entries */
  const paint = (entries) => {
    const [added, removed] = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])];
    for (const { key, feature, shown } of entries) {
      const there = source.getFeatureById(key);
      if (!feature) removed.push(there);
      else {
        const made = format.readFeature({ ...feature, id: key }, { dataProjection: DEGREES, featureProjection: featureProjection() });
        if (there) become(there, made, Object.keys(shown?.properties ?? {}));
        else added.push(made);
      }
    }
    source.removeFeatures(removed.filter(Boolean));
    source.addFeatures(added);
  };
  const features = new LiveFeatures(client, layer, rest, { paint }, map ? () => lookOf(map, format) : null);
  const unfollow = map ? following(map, () => features.moved()) : () => {};
  const remove = () => {
    unfollow();
    const left = features.remove();
    source.removeFeatures([...features.subscription.features.keys()].map((key) => source.getFeatureById(key)).filter(Boolean));
    return left;
  };
  return { subscription: features.subscription, remove };
}

/**
 * Fetch the tiles of a source again when they have changed. What was there stays in sight until the new tile has come.
 * @param {OpenLayersTileSource} source with an address of this server, `/tiles/<tileset>/{z}/{x}/{y}.png`; not shown by a map yet
 * @param {GeoStreamClient} client @param {string} tileset @param {LiveTileOptions & TileSourceOptions} options
 * @returns {LiveTileSource}
 */
export function liveTiles(source, client, tileset, { format, map, fetch = (url) => globalThis.fetch(url), ...rest }) {
  // A source that says that it has changed has all of its tiles loaded anew; layers only draw what is there.
  const redraw = () => {
    for (const layer of map.getAllLayers()) if (layer.getSource() === source) layer.changed();
  };
  const tiles = new OpenLayersTiles(source, fetch, () => shownBy(map, format), redraw);
  /** @param {TileNotice} notice */
  const changed = (notice) => {
    const listed = notice.tiles && new Set(notice.tiles.map(nameOf));
    tiles.renew((tile) => !listed || listed.has(nameOf(tile)), notice.version);
  };
  /** @param {WatchedView} view @param {WatchedView | null} before */
  const watched = (view, before) => tiles.renew((tile) => inView(view, tile) && !(before && inView(before, tile)));
  const watch = new TileWatch(client, tileset, rest, { changed, watched }, () => lookOf(map, format));
  const unfollow = following(map, () => {
    watch.moved();
    tiles.fetchStale();
  });
  const remove = () => {
    unfollow();
    tiles.release();
    return watch.remove();
  };
  return { subscription: watch.subscription, remove };
}

/** @param {TilePlace} tile */
const nameOf = ({ z, x, y }) => `${z}/${x}/${y}`;

/** @param {OpenLayersMap} map @param {() => void} listener @returns {() => void} what ends it */
function following(map, listener) {
  map.on("postrender", listener);
  return () => void map.un("postrender", listener);
}

/**
 * Where a map looks, in degrees, whatever its projection: the format transforms the corners, and the middles of the edges.
 * @param {OpenLayersMap} map @param {OpenLayersFormat} format @returns {Look}
 */
function lookOf(map, format) {
  const view = map.getView();
  if (!view.isDef()) return { bounds: [-180, -90, 180, 90], zoom: 0 };
  const [west, south, east, north] = view.calculateExtent();
  const [column, row] = [(west + east) / 2, (south + north) / 2];
  const coordinates = [west, column, east].flatMap((x) => [south, row, north].map((y) => [x, y]));
  const featureProjection = view.getProjection();
  const places = format.readGeometry({ type: "MultiPoint", coordinates }, { dataProjection: featureProjection, featureProjection });
  const degrees = format.writeGeometryObject(places, { dataProjection: DEGREES, featureProjection }).coordinates;
  const [longitudes, latitudes] = [0, 1].map((axis) => degrees.map((/** @type {number[]} */ place) => place[axis]));
  const bounds = [Math.min(...longitudes), Math.min(...latitudes), Math.max(...longitudes), Math.max(...latitudes)];
  // OpenLayers counts zooms by tiles of 256 pixels; what is said of a zoom here is of tiles of 512.
  return { bounds: /** @type {BBox} */ (bounds), zoom: Math.max(0, (view.getZoom() ?? 1) - 1) };
}

/** The tiles that a map may have on its screen. @param {OpenLayersMap} map @param {OpenLayersFormat} format @returns {WatchedView} */
function shownBy(map, format) {
  const { bounds, zoom } = lookOf(map, format);
  return { bbox: boxOf(bounds), zoom_range: { start: Math.max(0, Math.floor(zoom) - 1), end: Math.floor(zoom) + 4 } };
}

/**
 * Let a feature be as another, but for what others have set on it.
 * @param {any} feature @param {any} other @param {string[]} before the properties that it had from the server
 */
function become(feature, other, before) {
  const properties = other.getProperties();
  delete properties[other.getGeometryName()];
  for (const name of before) if (!Object.hasOwn(properties, name)) feature.unset(name, true);
  feature.setProperties(properties, true);
  feature.setGeometry(other.getGeometry());
}
