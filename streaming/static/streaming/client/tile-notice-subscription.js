/**
 * One subscription to notices of changed tiles, for those who fetch tiles over HTTP. Tiles themselves are not sent.
 *
 * Events, all `CustomEvent`s with the value in `detail`:
 * - `changed`: a {@link TileNotice}; also after a lost connection, if something may have been missed
 * - `view`: the ack, when the server has confirmed a view: from then on what changes in it is told
 * - `ready`: with the ack
 * - `error`: a GeoStreamError
 */
import { Subscription } from "./subscription.js";

/** @import { Ack, BBox, TilesChanged, ZoomRange } from "./messages.js" */
/** @import { Channel, Kind, SubscriptionEvents } from "./subscription.js" */

/**
 * @typedef {object} TileNoticeView
 * @property {BBox} [bbox] the world if absent
 * @property {ZoomRange} [zoomRange] all zooms if absent
 *
 * @typedef {object} TileNoticePresentation
 * @property {string | string[]} [tileset] a name, or a list of names; the site's default if absent
 * @property {number} [queueSize] entries kept for a loop that is too slow
 * @property {string} [id] the name of the subscription; made up if absent
 *
 * @typedef {TileNoticeView & TileNoticePresentation} TileNoticeOptions
 *
 * @typedef {object} TileNotice
 * @property {string} tileset
 * @property {{x: number, y: number, z: number}[] | null} tiles to be fetched again; null: all that are in view
 * @property {string | null} version of the tileset with these changes, for `?version=` in the address of a tile; null where nothing names it
 *
 * @typedef {SubscriptionEvents & {changed: TileNotice, view: Ack}} TileNoticeEvents
 */

/** @type {Required<TileNoticeView>} */
const EVERYTHING = { bbox: [-180, -90, 180, 90], zoomRange: { start: 0, end: 31 } };

/** @param {TileNoticeView} view @returns {Record<string, any>} */
function toWire({ bbox, zoomRange }) {
  return { ...(bbox && { bbox }), ...(zoomRange && { zoom_range: zoomRange }) };
}

/** @extends {Subscription<TileNoticeEvents, TileNotice & {gap?: number}>} */
export class TileNoticeSubscription extends Subscription {
  #tileset;
  /** The state of each tileset that was told last. @type {Map<string, string | null>} */
  #versions = new Map();

  /** @param {string} id @param {Channel} channel @param {TileNoticeOptions} [options] */
  constructor(id, channel, options = {}) {
    super(id, channel, { perLayer: false, queueSize: options.queueSize });
    this.#tileset = options.tileset;
    this.conditions = { ...toWire(EVERYTHING), ...toWire(options) };
  }

  /** Move the view. Only what changes in it from then on is told. @param {TileNoticeView} view */
  update(view) {
    const wire = toWire(view);
    this.conditions = { ...this.conditions, ...wire };
    this.ask("update", { type: "update_subscription", subscription_id: this.id, ...wire }, wire);
  }

  /** @internal */
  request() {
    return { type: "subscribe_tiles", ...this.conditions, ...(this.#tileset !== undefined && { tileset: this.#tileset }), notices: true };
  }

  /** @internal @param {Kind} kind @param {Ack} ack */
  begin(kind, ack) {
    this.emit("view", ack);
    // The ack of an update names a state too; but notices that lead to it may still be on their way, and be lost.
    if (kind !== "subscribe") return;
    for (const [tileset, { version = null }] of Object.entries(ack.tilesets ?? {})) {
      const known = this.#versions.get(tileset);
      this.#versions.set(tileset, version);
      if (known !== undefined && (version === null || version !== known)) this.#tell({ tileset, tiles: null, version });
    }
  }

  /** @internal @param {TilesChanged} message */
  receive({ tileset, tiles, version }) {
    if (this.closed) return;
    this.#versions.set(tileset, version);
    this.#tell({ tileset, tiles: tiles && tiles.map(([x, y, z]) => ({ x, y, z })), version });
  }

  /** @param {TileNotice} notice */
  #tell(notice) {
    this.emit("changed", notice);
    this.enqueue(notice);
  }
}
