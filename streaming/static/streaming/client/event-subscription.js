/**
 * One subscription to events. Emits `event` with `{type, payload, timestamp, gap, cursor}`; `gap` is null or the number of events
 * that were missed just before this one. Also `ready` (with the ack: `recovered: false` means that some were missed) and `error`.
 */
import { Subscription } from "./subscription.js";

/** @import { Channel, SubscriptionEvents } from "./subscription.js" */
/** @import { Cursor, Event, EventType } from "./messages.js" */

/** All types of events there are. @type {readonly EventType[]} */
export const EVENT_TYPES = Object.freeze(["file_change", "processing_status", "error", "progress", "custom"]);

/**
 * @typedef {object} EventOptions
 * @property {[string, string][]} [filters] properties of the payload that must be equal
 * @property {string | object} [filter] CQL2
 * @property {"cql2-text" | "cql2-json"} [filterLang]
 * @property {[number, number, number, number]} [bbox] what the `bbox` of the payload must touch
 * @property {Cursor | null} [cursor] of an earlier subscription: go on from there
 * @property {number} [queueSize] entries kept for a loop that is too slow
 * @property {string} [id] the name of the subscription; made up if absent
 *
 * @typedef {object} StreamEvent
 * @property {EventType} type
 * @property {any} payload any JSON value
 * @property {string} timestamp RFC 3339
 * @property {number | null} gap the number of events missed just before this one
 * @property {string | null} cursor
 */

/** @param {EventOptions} options @returns {Record<string, any>} */
function toWire({ filters, filter, filterLang, bbox }) {
  return { ...(filters && { filters }), ...(filter && { filter }), ...(filterLang && { filter_lang: filterLang }), ...(bbox && { bbox }) };
}

/** @extends {Subscription<SubscriptionEvents & {event: StreamEvent}, StreamEvent>} */
export class EventSubscription extends Subscription {
  /** @param {string} id @param {Channel} channel @param {readonly EventType[]} types @param {EventOptions} [options] */
  constructor(id, channel, types, options = {}) {
    super(id, channel, { perLayer: false, cursor: options.cursor, queueSize: options.queueSize });
    this.types = types;
    this.conditions = toWire(options);
  }

  /** @internal */
  request() {
    return { type: "subscribe_events", event_types: this.types, ...this.conditions };
  }

  /** @internal @param {Event} message */
  receive({ event_type: type, payload, timestamp, gap = null, cursor = null }) {
    if (this.closed) return;
    const event = { type, payload, timestamp, gap, cursor };
    const complete = this.position.received(1, cursor);
    this.emit("event", event);
    this.enqueue(event);
    if (complete) this.settled({});
  }
}
