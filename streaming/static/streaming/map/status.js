/** The upper part of the panel: connection, latency, counters, rates. */
import { byTestId, setText } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";
import { formatNumber } from "./properties.js";
import { Sparkline } from "./sparkline.js";

const TEXTS = {
  connecting: gettext("Connecting…"),
  open: gettext("Live"),
  reconnecting: gettext("Reconnecting…"),
  closed: gettext("Disconnected"),
};

export class Status {
  #state = byTestId("connection-state");
  #announcement = document.getElementById("announcement");
  #retryAt = null;
  #last = { messages: 0, changes: 0 };
  #sparkline = new Sparkline(document.getElementById("sparkline"));

  /** @param {import("../geostream.js").GeoStreamClient} client @param {import("./live.js").Live} live */
  constructor(client, live, theme) {
    this.client = client;
    this.live = live;
    client.addEventListener("state", ({ detail }) => this.#enter(detail));
    client.addEventListener("latency", ({ detail }) =>
      setText(byTestId("latency"), `${detail < 10 ? detail.toFixed(1) : Math.round(detail)} ms`),
    );
    theme.addEventListener("change", () => this.#sparkline.draw());
    setInterval(() => this.#everySecond(), 1000);
    setInterval(() => this.#count(), 200);
  }

  #enter({ state, retryAt = null, reason }) {
    this.#retryAt = retryAt;
    this.#state.dataset.state = state;
    document.documentElement.dataset.connection = state;
    const text = state === "closed" && reason ? `${TEXTS.closed}: ${reason}` : TEXTS[state];
    setText(this.#state, text);
    setText(this.#announcement, text);
    if (state !== "open") setText(byTestId("latency"), "–");
    this.#countDown();
  }

  #countDown() {
    if (this.#retryAt === null) return;
    const seconds = Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
    setText(this.#state, seconds > 0 ? interpolate(gettext("Reconnecting in %(seconds)s s"), { seconds }) : TEXTS.reconnecting);
  }

  #count() {
    const { added, updated, deleted } = this.live.counters;
    setText(byTestId("count-total"), formatNumber(this.live.total));
    setText(byTestId("count-added"), formatNumber(added));
    setText(byTestId("count-updated"), formatNumber(updated));
    setText(byTestId("count-left"), formatNumber(deleted));
  }

  #everySecond() {
    this.#countDown();
    const { messages } = this.client.stats;
    const { added, updated, deleted } = this.live.counters;
    const now = { messages, changes: added + updated + deleted };
    setText(byTestId("rate"), String(now.messages - this.#last.messages));
    setText(document.getElementById("changes-rate"), formatNumber(now.changes - this.#last.changes));
    this.#sparkline.push(now.messages - this.#last.messages);
    this.#last = now;
  }
}
