/** Which tiles of a map have to be fetched again: what adapters for maps that fetch tiles over HTTP share. */
import { ViewFollower } from "./view.js";

/** @import { GeoStreamClient } from "../client/client.js" */
/** @import { BBox, ZoomRange } from "../client/messages.js" */
/** @import { TileNotice, TileNoticeSubscription } from "../client/tile-notice-subscription.js" */
/** @import { AdapterOptions } from "./live-features.js" */
/** @import { Look } from "./view.js" */

/** As much around the view as the view is wide and high: a map also keeps tiles that are just out of sight. */
const PADDING = 1;
/** Whole zooms to go before other zooms are asked for. */
const ZOOM_STEP = 2;

/**
 * @typedef {Pick<AdapterOptions, "onError" | "debounce">} LiveTileOptions
 *
 * @typedef {{bbox: BBox, zoom_range: ZoomRange}} WatchedView
 *
 * @typedef {object} TileWatcher
 * @property {(notice: TileNotice) => void} changed tiles in view have changed
 * @property {(view: WatchedView, before: WatchedView | null) => void} watched
 *   from now on what changes in this view is told; what has come into it may be out of date
 */

export class TileWatch {
  #follower;
  /** @type {WatchedView | null} */
  #watched = null;
  /** @type {TileNoticeSubscription} */
  subscription;

  /**
   * @param {GeoStreamClient} client @param {string} tileset @param {LiveTileOptions} options
   * @param {TileWatcher} watcher @param {() => Look} look
   */
  constructor(client, tileset, { onError, debounce }, watcher, look) {
    /** @type {{bbox?: BBox, zoomRange?: ZoomRange}} */
    let view = {};
    this.#follower = new ViewFollower(
      look,
      (bbox, zoom) => {
        view = { bbox, zoomRange: zoomsAround(zoom) };
        this.subscription?.update(view);
      },
      { debounce, padding: PADDING, zoomStep: ZOOM_STEP },
    );
    this.#follower.follow();
    this.subscription = client.subscribeTileNotices({ tileset, ...view });
    this.subscription.addEventListener("changed", ({ detail }) => watcher.changed(detail));
    this.subscription.addEventListener("view", () => {
      const before = this.#watched;
      this.#watched = { bbox: /** @type {BBox} */ (view.bbox), zoom_range: /** @type {ZoomRange} */ (view.zoomRange) };
      watcher.watched(this.#watched, before);
    });
    if (onError) this.subscription.addEventListener("error", ({ detail }) => onError(detail));
  }

  /** The map moves. */
  moved() {
    if (!this.subscription.closed) this.#follower.moved();
  }

  /** @returns {Promise<void>} */
  remove() {
    this.#follower.stop();
    return this.subscription.unsubscribe();
  }
}

/**
 * The zooms of tiles that a map may show, until it has moved by ZOOM_STEP: those of tiles of 256 pixels are one more, and maps show coarser
 * tiles in place of those that are not there.
 * @param {number} zoom @returns {ZoomRange}
 */
function zoomsAround(zoom) {
  return { start: Math.max(0, zoom - ZOOM_STEP), end: zoom + ZOOM_STEP + 3 };
}

/** An address of tiles that asks for this state of the tileset. @param {string} url @param {string | null} version */
export function withVersion(url, version) {
  const [bare, query = ""] = url.split("?");
  const rest = query.split("&").filter((part) => part !== "" && !part.startsWith("version="));
  if (version !== null) rest.push(`version=${encodeURIComponent(version)}`);
  return rest.length > 0 ? `${bare}?${rest.join("&")}` : bare;
}
