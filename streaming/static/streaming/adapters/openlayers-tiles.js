/** The tiles that a source of OpenLayers has loaded, which can be fetched again one by one: OpenLayers itself has but `refresh` for all. */
import { inView } from "../client/tile-view.js";
import { withVersion } from "./tile-watch.js";

/** @import { WatchedView } from "./tile-watch.js" */

/** Of `ol/TileState`. */
const LOADING = 1;
/** Tiles that are remembered before those that OpenLayers has dropped are looked for. */
const MANY = 2048;
/** Statuses that mean that nothing is there. */
const NOTHING = [204, 404];

/**
 * @typedef {{z: number, x: number, y: number}} TilePlace
 *
 * @typedef {object} OpenLayersTileSource what is used of `ol/source/VectorTile`, `ol/source/XYZ` and others with addresses
 * @property {() => (tile: any, url: string) => void} getTileLoadFunction
 * @property {(load: (tile: any, url: string) => void) => void} setTileLoadFunction
 */

/**
 * @typedef {object} Loaded a tile that was asked for
 * @property {WeakRef<any>} tile until OpenLayers drops it
 * @property {string} url
 * @property {boolean} stale whether it is to be fetched again
 * @property {string | null} version to be asked for
 * @property {boolean} coming whether it is on its way
 */

export class OpenLayersTiles {
  /** @type {Loaded[]} */
  #loaded = [];
  #pruneAt = MANY;
  #stale = false;
  #released = false;
  #fetch;
  #shown;
  #redraw;

  /**
   * @param {OpenLayersTileSource} source @param {(url: string) => Promise<Response>} fetch
   * @param {() => WatchedView} shown the tiles that may be in sight
   * @param {() => void} redraw shows tiles that are others now
   */
  constructor(source, fetch, shown, redraw) {
    this.#fetch = fetch;
    this.#shown = shown;
    this.#redraw = redraw;
    const load = source.getTileLoadFunction();
    // This drops what the source has loaded, so it is not undone in the end.
    source.setTileLoadFunction((tile, url) => {
      if (!this.#released) this.#remember(tile, url);
      load(tile, url);
    });
  }

  /**
   * These are out of date: fetch them again, those out of sight when they come into it.
   * @param {(tile: TilePlace) => boolean} chosen @param {string | null} [version]
   */
  renew(chosen, version = null) {
    for (const loaded of this.#loaded) {
      const tile = loaded.tile.deref();
      if (tile && chosen(placeOf(tile))) Object.assign(loaded, { stale: true, version: version ?? loaded.version });
    }
    this.#stale = true;
    this.fetchStale();
  }

  /** Fetch those that are out of date and in sight now. */
  fetchStale() {
    if (!this.#stale || this.#released) return;
    const shown = this.#shown();
    this.#stale = false;
    for (const loaded of this.#loaded) {
      const tile = loaded.stale && loaded.tile.deref();
      if (!tile) continue;
      if (!loaded.coming && tile.getState() !== LOADING && inView(shown, placeOf(tile))) this.#renew(loaded, tile);
      else this.#stale = true;
    }
  }

  /** Leave the source to itself. */
  release() {
    this.#released = true;
    this.#loaded = [];
  }

  /** @param {any} tile @param {string} url */
  #remember(tile, url) {
    if (this.#loaded.length >= this.#pruneAt) {
      this.#loaded = this.#loaded.filter((each) => each.tile.deref());
      this.#pruneAt = Math.max(MANY, 2 * this.#loaded.length);
    }
    this.#loaded.push({ tile: new WeakRef(tile), url, stale: false, version: null, coming: false });
  }

  /** What cannot be fetched now stays as it is until it changes again. @param {Loaded} loaded @param {any} tile */
  async #renew(loaded, tile) {
    loaded.stale = false;
    loaded.coming = true;
    try {
      const show = await opened(tile, await this.#fetch(withVersion(loaded.url, loaded.version)));
      if (this.#released) return;
      show();
      this.#redraw();
    } catch (error) {
      console.warn(`geostream: ${loaded.url} could not be fetched again`, error);
    } finally {
      loaded.coming = false;
      this.fetchStale();
    }
  }
}

/** The place of a tile; in a world beside the first it is the same. @param {any} tile @returns {TilePlace} */
function placeOf({ tileCoord: [z, x, y] }) {
  const size = 2 ** z;
  return { z, x: ((x % size) + size) % size, y };
}

/**
 * What shows an answer in a tile.
 * @param {any} tile an `ol/VectorTile` or an `ol/ImageTile` @param {Response} answer @returns {Promise<() => void>}
 */
async function opened(tile, answer) {
  const empty = NOTHING.includes(answer.status);
  if (!empty && !answer.ok) throw new Error(`HTTP status ${answer.status}`);
  if (!("getFormat" in tile)) {
    const image = empty ? document.createElement("canvas") : await imageOf(await answer.blob());
    return () => tile.setImage(image);
  }
  const options = { extent: tile.extent, featureProjection: tile.projection };
  const features = empty ? [] : tile.getFormat().readFeatures(await answer.arrayBuffer(), options);
  return () => tile.setFeatures(features);
}

/** @param {Blob} blob @returns {Promise<HTMLImageElement>} */
async function imageOf(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}
