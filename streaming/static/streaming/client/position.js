/** @import { Ack, Cursor } from "./messages.js" */

/**
 * Where a subscription stands in its feed: the rules of the protocol for cursors, and nothing else.
 *
 * A cursor is a promise ("you have everything up to here"), so it is only ever adopted from a message that carries one, or from
 * an ack once all that the ack announced has arrived. What has been applied in part (a snapshot, a resumed difference) has no
 * position: a connection lost then makes the next subscription ask for the whole state.
 *
 * A subscription to every layer has one cursor per layer, kept under the layer's name; any other keeps its one under "".
 */
export class Position {
  #perLayer;
  /** @type {Map<string, string | null>} */
  #places = new Map();
  /** @type {Map<string, string | null>} */
  #fresh = new Map();
  /** @type {Map<string, string | null> | null} */
  #promised = null;
  #remaining = 0;
  #partial = false;
  #awaited = 0;

  /** @param {boolean} perLayer @param {Cursor | null} [cursor] to resume from */
  constructor(perLayer, cursor = null) {
    this.#perLayer = perLayer;
    this.#places = this.#asMap(cursor);
  }

  /** The cursor to resume from, or null if only the whole state would do. @returns {Cursor | null} */
  get cursor() {
    if (this.#partial || this.#places.size === 0) return null;
    if ([...this.#places.values()].includes(null)) return null;
    return this.#perLayer
      ? Object.fromEntries(/** @type {Map<string, string>} */ (this.#places))
      : /** @type {string} */ (this.#places.get(""));
  }

  /** True while what an ack announced is still arriving. */
  get arriving() {
    return this.#promised !== null;
  }

  /** The conditions changed: a place in the old picture says nothing about the new one. */
  forget() {
    this.#places.clear();
    this.#interrupt();
  }

  /** A request was sent whose ack will give a position; until then no message does. */
  requested() {
    this.#awaited += 1;
  }

  /** The request was refused; messages count again. */
  refused() {
    this.#awaited -= 1;
  }

  /**
   * @param {Pick<Ack, "cursor" | "snapshot_count" | "recovered">} ack
   * @returns {boolean} true if nothing more is to arrive for this ack
   */
  acknowledged({ cursor = null, snapshot_count: count = 0, recovered }) {
    this.#awaited -= 1;
    if (this.#awaited > 0) return false;
    if (recovered !== true) this.#places.clear();
    this.#promised = this.#asMap(cursor);
    this.#fresh.clear();
    this.#remaining = count ?? 0;
    this.#partial = false;
    return this.#settle();
  }

  /**
   * A data message with `count` features or events was applied.
   * @param {number} count @param {string | null} [cursor] @param {string | null} [layer]
   * @returns {boolean} true if it was the last of what the ack announced
   */
  received(count, cursor, layer) {
    if (this.#awaited > 0) return false;
    const place = this.#perLayer ? /** @type {string} */ (layer) : "";
    if (!this.arriving) {
      this.#places.set(place, cursor ?? null);
      return false;
    }
    this.#partial = true;
    this.#remaining -= count;
    if (cursor != null) this.#fresh.set(place, cursor);
    return this.#settle();
  }

  /** The connection is gone: no ack is to be waited for, and what arrived in part is no position. */
  lost() {
    this.#awaited = 0;
    if (this.#partial) this.#places.clear();
    this.#interrupt();
  }

  #interrupt() {
    this.#promised = null;
    this.#partial = false;
  }

  #settle() {
    const promised = /** @type {Map<string, string | null>} */ (this.#promised);
    const placed = promised.size > 0 && [...promised.keys()].every((place) => this.#fresh.has(place));
    if (this.#remaining > 0 && !placed) return false;
    this.#places = new Map([...promised, ...this.#fresh]);
    this.#interrupt();
    return true;
  }

  /** @param {Cursor | null} cursor @returns {Map<string, string | null>} */
  #asMap(cursor) {
    if (cursor == null) return new Map();
    return new Map(this.#perLayer ? Object.entries(cursor) : [["", /** @type {string} */ (cursor)]]);
  }
}
