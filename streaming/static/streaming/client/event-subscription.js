/**
 * One subscription to events. Emits `event` with `{type, payload, timestamp, gap, cursor}`; `gap` is null or the number of events
 * that were missed just before this one. Also `ready` (with the ack: `recovered: false` means that some were missed) and `error`.
 */
import { Subscription } from "./subscription.js";

/** All types of events there are. */
export const EVENT_TYPES = Object.freeze(["file_change", "processing_status", "error", "progress", "custom"]);

export class EventSubscription extends Subscription {
  /**
   * @param {string[]} types
   * @param {{filters?: [string, string][], filter?: string | object, filterLang?: string, cursor?: string, queueSize?: number}} options
   */
  constructor(id, channel, types, options = {}) {
    super(id, channel, { perLayer: false, cursor: options.cursor, queueSize: options.queueSize });
    this.types = types;
    this.conditions = {
      ...(options.filters && { filters: options.filters }),
      ...(options.filter && { filter: options.filter }),
      ...(options.filterLang && { filter_lang: options.filterLang }),
    };
  }

  request() {
    return { type: "subscribe_events", event_types: this.types, ...this.conditions };
  }

  begin() {}

  receive({ event_type: type, payload, timestamp, gap = null, cursor = null }) {
    if (this.closed) return;
    const event = { type, payload, timestamp, gap, cursor };
    const complete = this.position.received(1, cursor);
    this.emit("event", event);
    this.enqueue(event);
    if (complete) this.settled({});
  }
}
