/** What happened, newest first: never longer than it can be read, stopped while somebody reads, and searched. */
import { element, setText } from "../map/dom.js";
import { gettext, interpolate } from "../map/gettext.js";

const KEPT = 500;
const LONGEST = 2000;

/** @param {any} payload what phoenix.js decoded: JSON, or an ArrayBuffer */
export function asText(payload) {
  if (payload instanceof ArrayBuffer) return interpolate(gettext("binary, %(count)s bytes"), { count: payload.byteLength });
  const text = JSON.stringify(payload) ?? "";
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

export class EventLog {
  #entries = [];
  #unshown = 0;
  #missed = 0;
  #query = "";
  #paused = false;
  #frame = null;

  /** @param {{list: HTMLElement, empty: HTMLElement, pause: HTMLButtonElement, clear: HTMLButtonElement, kept?: number}} parts */
  constructor({ list, empty, pause, clear, kept = KEPT }) {
    this.list = list;
    this.empty = empty;
    this.pause = pause;
    this.kept = kept;
    pause.addEventListener("click", () => this.#setPaused(!this.#paused));
    clear.addEventListener("click", () => this.#clear());
  }

  /** @param {{event: string, payload: any, about?: string}} entry `about`: what it is about, if there is a choice */
  add({ event, payload, about = "" }) {
    this.#entries.unshift({ at: new Date(), event, about, text: asText(payload), payload });
    this.#entries.length = Math.min(this.#entries.length, this.kept);
    if (this.#paused) {
      this.#missed += 1;
      this.#label();
      return;
    }
    this.#unshown = Math.min(this.#unshown + 1, this.kept);
    this.#frame ??= requestAnimationFrame(() => this.#show());
  }

  /** Show only what contains the text. */
  search(text) {
    this.#query = text.trim().toLowerCase();
    this.#showAll();
  }

  /** Everything that is kept, oldest first, one JSON object a line. */
  lines() {
    const line = ({ at, event, payload, text }) =>
      JSON.stringify({ time: at.toISOString(), event, payload: payload instanceof ArrayBuffer ? text : payload });
    return this.#entries.toReversed().map(line).join("\n");
  }

  #setPaused(paused) {
    this.#paused = paused;
    this.#missed = 0;
    this.#label();
    if (!paused) this.#showAll();
  }

  #label() {
    this.pause.setAttribute("aria-pressed", String(this.#paused));
    const goOn = this.#missed ? gettext("Go on (%(count)s new)") : gettext("Go on");
    setText(this.pause, this.#paused ? interpolate(goOn, { count: this.#missed }) : gettext("Pause"));
  }

  #clear() {
    this.#entries = [];
    this.#showAll();
  }

  #show() {
    this.#frame = null;
    const rows = this.#entries.slice(0, this.#unshown).filter((entry) => this.#wanted(entry));
    this.#unshown = 0;
    this.list.prepend(...rows.map((entry) => this.#row(entry)));
    while (this.list.children.length > this.kept) this.list.lastElementChild.remove();
    this.empty.hidden = this.list.children.length > 0;
  }

  #showAll() {
    this.list.replaceChildren();
    this.#unshown = this.#entries.length;
    this.#show();
  }

  #wanted({ event, about, text }) {
    return !this.#query || `${event} ${about} ${text}`.toLowerCase().includes(this.#query);
  }

  #row({ at, event, about, text }) {
    const row = element("li", {}, element("time", { datetime: at.toISOString() }, at.toTimeString().slice(0, 8)));
    row.append(element("b", { class: "event-name" }, event || gettext("(no name)")));
    if (about) row.append(element("span", { class: "event-about" }, about));
    row.append(element("code", { class: "event-payload" }, text));
    return row;
  }
}
