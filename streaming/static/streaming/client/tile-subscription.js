/**
 * One subscription to tiles: those of a box and a range of zooms, kept as they are now. Deltas are applied here; what cannot be
 * applied is never shown, the tile is asked for anew.
 *
 * Events, all `CustomEvent`s with the value in `detail`:
 * - `tile`: a {@link TileChange}
 * - `view`: the ack, when the server has confirmed a view; `tilesets` is known from then on
 * - `ready`: everything in view has arrived as it is
 * - `error`: a GeoStreamError
 *
 * What is held mirrors what the server believes to be held: tiles are dropped when a new view is confirmed, not when it is asked for.
 */
import { Backoff } from "./backoff.js";
import { bytesOf } from "./codecs.js";
import { GeoStreamError } from "./errors.js";
import { HeldTile, keyOf } from "./held-tile.js";
import { browserPictures } from "./pictures.js";
import { Subscription } from "./subscription.js";
import { BYTE_DELTAS, PIXEL_DELTAS, needsZstd } from "./tile-deltas.js";
import { inView } from "./tile-view.js";

/** @import { Fzstd } from "./codecs.js" */
/** @import { Means } from "./held-tile.js" */
/** @import { Ack, BBox, TileData, TilesReady, TilesetInfo, ZoomRange } from "./messages.js" */
/** @import { Picture, Pictures } from "./pictures.js" */
/** @import { Channel, Kind, Ready, SubscriptionEvents } from "./subscription.js" */

/**
 * @typedef {object} TileView
 * @property {BBox} [bbox]
 * @property {ZoomRange} [zoomRange]
 *
 * @typedef {object} TilePresentation
 * @property {string | string[]} [tileset] a name, or a list of names; the site's default if absent
 * @property {number} [tileSize] 256 or 512, for rasters
 * @property {string[]} [delta] the delta encodings to ask for, as far as they can be applied here
 * @property {Pictures | null} [pictures] what decodes images; null: nothing, keep bytes
 * @property {"base64" | "bin" | "list"} [dataEncoding]
 * @property {boolean} [progress] whether `ready` waits until everything in view has arrived
 * @property {number} [queueSize] entries kept for a loop that is too slow
 * @property {string} [id] the name of the subscription; made up if absent
 *
 * @typedef {Required<TileView> & TilePresentation} TileOptions
 *
 * @typedef {object} TileChange
 * @property {string} tileset
 * @property {number} x
 * @property {number} y
 * @property {number} z
 * @property {string} version
 * @property {string} mimeType
 * @property {boolean} empty nothing is there any more
 * @property {Uint8Array | null} bytes the tile's file; null of a tile that is held as pixels
 * @property {Picture | null} picture in browsers, of images
 * @property {string | null} encoding null if the tile came whole, else the delta encoding
 * @property {number} received the bytes of `data` in the message
 * @property {number} whole the bytes of the whole tile; after a delta of pixels those it had when it last came whole
 *
 * @typedef {SubscriptionEvents & {tile: TileChange, view: Ack}} TileEvents
 */

/** @param {TileView} view @returns {Record<string, any>} */
function toWire(view) {
  return { ...(view.bbox !== undefined && { bbox: view.bbox }), ...(view.zoomRange !== undefined && { zoom_range: view.zoomRange }) };
}

/** @extends {Subscription<TileEvents, TileChange & {gap?: number}>} */
export class TileSubscription extends Subscription {
  #options;
  #loadZstd;
  /** Known once the subscription has been asked for. */
  #means = /** @type {Means} */ (/** @type {unknown} */ (null));
  /** @type {Set<Promise<void>>} */
  #pending = new Set();
  #attempt = 0;
  #asked = false;
  #listening = false;
  #mending = {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    timer: undefined,
    backoff: new Backoff({ initial: 250, max: 30_000 }),
  };
  /** By `tileset/z/x/y`. @type {Map<string, HeldTile>} */
  tiles = new Map();
  /** What the server says of each tileset: format, tile size, zooms, bounds, attribution. @type {Record<string, TilesetInfo>} */
  tilesets = {};
  /** Whether everything in view is here as it is. */
  ready = false;
  /** What has come: tiles, deltas among them, bytes, and those they would have taken as whole tiles. */
  stats = { tiles: 0, deltas: 0, received: 0, whole: 0 };

  /** @param {string} id @param {Channel} channel @param {TileOptions} options @param {() => Promise<Fzstd | null>} loadZstd */
  constructor(id, channel, options, loadZstd) {
    super(id, channel, { perLayer: false, queueSize: options.queueSize });
    this.#options = { progress: true, ...options };
    this.#loadZstd = loadZstd;
    this.conditions = toWire(options);
  }

  /**
   * The tile that is held of a place.
   * @param {string} tileset @param {number} z @param {number} x @param {number} y
   * @returns {HeldTile | undefined}
   */
  get(tileset, z, x, y) {
    return this.tiles.get(keyOf({ tileset, z, x, y }));
  }

  /** Move the view. Only what comes into it is sent; what leaves it is dropped. @param {TileView} view */
  update(view) {
    const wire = toWire(view);
    this.conditions = { ...this.conditions, ...wire };
    this.ready = false;
    if (this.#asked) this.ask("update", { type: "update_subscription", subscription_id: this.id, ...wire }, wire);
  }

  /** What can be decoded has to be known, and what has arrived to be decoded, before it is said what is wanted and held. @internal */
  async open() {
    const attempt = this.#pause();
    this.#means ??= await this.#findMeans();
    await Promise.allSettled(this.#pending);
    if (attempt !== this.#attempt || this.closed) return;
    this.#asked = true;
    super.open();
  }

  /** @internal */
  lost() {
    this.#pause();
    super.lost();
  }

  /** @internal */
  request() {
    const { tileset, tileSize = null, dataEncoding, progress } = this.#options;
    return {
      type: "subscribe_tiles",
      ...this.conditions,
      tile_size: tileSize,
      ...(tileset !== undefined && { tileset }),
      data_encoding: dataEncoding ?? (this.channel.format === "Json" ? "base64" : "bin"),
      ...(this.#means.delta.length > 0 && { delta: this.#means.delta }),
      ...(progress && { progress }),
      ...this.#held(),
    };
  }

  /** @internal @param {Kind} kind @param {Ack} ack @param {Record<string, any>} conditions */
  begin(kind, ack, conditions) {
    if (kind === "subscribe") {
      this.#listening = true;
      for (const tile of this.tiles.values()) tile.doubtful = false; // it was named
    }
    if (ack.tilesets) this.tilesets = ack.tilesets;
    this.#drop(conditions);
    this.emit("view", ack);
  }

  /** @internal @param {TileData | TilesReady} message */
  receive(message) {
    if (this.closed || !this.#listening) return;
    if (message.type === "tiles_ready") this.#arrived();
    else this.#take(message);
  }

  /** An ack is not the end of what it announces: `tiles_ready` is. @internal @param {Ready} ack */
  settled(ack) {
    if (!this.#options.progress) super.settled(ack);
  }

  /**
   * What left the view is forgotten by both sides. If it is on its way back into a view that was asked for since, it may also have been sent
   * again already, ahead of this ack: it is kept, in doubt until it comes, or until the server is asked.
   * @param {Record<string, any>} conditions those that hold now
   */
  #drop(conditions) {
    for (const [key, tile] of this.tiles) {
      if (inView(conditions, tile)) continue;
      if (this.awaiting && inView(this.conditions, tile)) tile.doubtful = true;
      else this.tiles.delete(key);
    }
  }

  /** @param {TileData} message */
  #take(message) {
    const [x, y, z] = message.tile;
    const place = { tileset: message.tileset ?? String(this.#options.tileset ?? ""), z, x, y };
    const key = keyOf(place);
    const tile = this.tiles.get(key) ?? new HeldTile(place, this.#means);
    if (!tile.accepts(message)) return this.#mend(tile);
    this.tiles.set(key, tile);
    const work = tile
      .take(message, bytesOf(message.data))
      .then((sizes) => this.#show(key, tile, message, sizes))
      .catch((error) => this.#failed(key, tile, message, error));
    this.#pending.add(work);
    work.finally(() => this.#pending.delete(work));
  }

  /** @param {string} key @param {HeldTile} tile @param {TileData} message @param {{received: number, whole: number}} sizes */
  #show(key, tile, { encoding = null }, { received, whole }) {
    if (this.closed || this.tiles.get(key) !== tile) return;
    if (tile.empty) this.tiles.delete(key);
    this.#count({ encoding, received, whole });
    const { tileset, x, y, z, version, mimeType, empty, bytes, picture } = tile;
    const change = { tileset, x, y, z, version, mimeType, empty, bytes, picture, encoding, received, whole };
    this.emit("tile", change);
    this.enqueue(change);
  }

  /** @param {Pick<TileChange, "encoding" | "received" | "whole">} change */
  #count({ encoding, received, whole }) {
    this.stats.tiles += 1;
    if (encoding) this.stats.deltas += 1;
    this.stats.received += received;
    this.stats.whole += whole;
  }

  /**
   * A whole tile that cannot be read would be no better if it came again.
   * @param {string} key @param {HeldTile} tile @param {TileData} message @param {Error} error
   */
  #failed(key, tile, { encoding }, error) {
    if (this.closed || this.tiles.get(key) !== tile) return;
    tile.broken = true;
    if (encoding) this.#mend(tile);
    else this.emit("error", new GeoStreamError("bad_tile", `tile ${key}: ${error.message}`));
  }

  /** This tile is not what the server takes it for. It stays as it was until, asked for anew, it comes whole. @param {HeldTile} tile */
  #mend(tile) {
    tile.broken = true;
    this.#askAnew();
  }

  /** Subscribe again, naming what is held. */
  #askAnew() {
    this.#mending.timer ??= setTimeout(() => {
      this.#mending.timer = undefined;
      if (this.#listening && this.ask("pause", { type: "unsubscribe", subscription_id: this.id })) this.open();
    }, this.#mending.backoff.next());
  }

  /** All that has been received is also to be seen. */
  async #arrived() {
    if (this.awaiting) return; // it is about a view that is left already
    const attempt = this.#attempt;
    await Promise.allSettled(this.#pending);
    if (attempt !== this.#attempt || this.awaiting || this.closed || this.#mending.timer) return;
    if ([...this.tiles.values()].some(({ doubtful }) => doubtful)) return this.#askAnew();
    this.#mending.backoff.reset();
    this.ready = true;
    super.settled({ count: this.tiles.size });
  }

  /** From now on until the next subscription is confirmed, what arrives belongs to the one before. */
  #pause() {
    clearTimeout(this.#mending.timer);
    this.#mending.timer = undefined;
    this.#asked = this.#listening = this.ready = false;
    return ++this.#attempt;
  }

  #held() {
    /** @type {Record<string, [number, number, number, string][]>} */
    const have = {};
    for (const tile of this.tiles.values()) {
      if (!tile.broken && !tile.empty && inView(this.conditions, tile))
        (have[tile.tileset] ??= []).push([tile.x, tile.y, tile.z, tile.version]);
    }
    return Object.keys(have).length > 0 ? { have } : {};
  }

  /** @returns {Promise<Means>} */
  async #findMeans() {
    const { delta: wanted = ["patch+webp", "xor+zstd", "prefix+zstd"], pictures: given } = this.#options;
    const pictures = given === undefined ? await browserPictures() : given;
    const fzstd = wanted.some(needsZstd) ? await this.#loadZstd() : null;
    const possible = [...PIXEL_DELTAS.filter((name) => pictures?.delta.includes(name)), ...BYTE_DELTAS];
    return { pictures, fzstd, delta: wanted.filter((name) => possible.includes(name) && (fzstd || !needsZstd(name))) };
  }
}
