/** What is shown while the server cannot be reached: the features dim, and a banner says how old they are and dials again at once. */
import { setText } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";

/** A connection that is back sooner is not worth a word, in milliseconds. */
const PATIENCE = 800;

export class Outage {
  #banner = document.getElementById("outage");
  #text = this.#banner.querySelector("[data-text]");
  #lostAt = null;

  /** @param {import("../geostream.js").GeoStreamClient} client */
  constructor(client) {
    client.addEventListener("state", ({ detail: { state } }) => this.#enter(state));
    this.#banner.querySelector("button").addEventListener("click", () => client.retry());
    setInterval(() => this.#show(), 250);
  }

  #enter(state) {
    if (state === "open") this.#lostAt = null;
    else if (state !== "connecting" || this.#lostAt !== null) this.#lostAt ??= Date.now();
    this.#show();
  }

  #show() {
    const since = this.#lostAt === null ? 0 : Date.now() - this.#lostAt;
    const stale = since > PATIENCE;
    document.documentElement.toggleAttribute("data-stale", stale);
    this.#banner.hidden = !stale;
    if (stale) setText(this.#text, interpolate(gettext("No connection. What you see is %(age)s old."), { age: inWords(since) }));
  }
}

function inWords(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
