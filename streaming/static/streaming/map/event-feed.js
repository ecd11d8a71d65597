/** The list of events, newest first, never longer than it can be read. */
import { element } from "./dom.js";
import { gettext, interpolate, ngettext } from "./gettext.js";
import { toTime } from "./times.js";

const KEPT = 200;
const TITLES = {
  file_change: gettext("File"),
  processing_status: gettext("Processing"),
  error: gettext("Error"),
  progress: gettext("Progress"),
  custom: gettext("Event"),
  alert: gettext("Alert"),
};
const TELLING = ["message", "title", "text", "status", "action", "change_type", "name", "path", "file_path"];

/** One line for people out of any payload. */
function summary(payload) {
  if (payload === null || typeof payload !== "object") return String(payload);
  const told = TELLING.filter((name) => ["string", "number"].includes(typeof payload[name])).map((name) => payload[name]);
  const percent = payload.percent ?? payload.progress;
  if (typeof percent === "number") told.push(`${Math.round(percent <= 1 && !Number.isInteger(percent) ? percent * 100 : percent)} %`);
  return told.length ? told.join(" · ") : JSON.stringify(payload);
}

function missed(count) {
  return interpolate(ngettext("%(count)s event was missed here", "%(count)s events were missed here", count), { count });
}

export class EventFeed {
  /** @param {HTMLElement} list @param {HTMLElement} empty shown while there is nothing */
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
  }

  add({ type, payload, timestamp, gap }) {
    this.empty.hidden = true;
    if (gap) this.list.prepend(element("li", { class: "event-gap" }, missed(gap)));
    const time = new Date(toTime(timestamp));
    const clock = Number.isNaN(time.getTime()) ? "" : time.toTimeString().slice(0, 8);
    const text = summary(payload).slice(0, 300);
    const chip = element("span", { class: "chip", "data-type": type }, TITLES[type] ?? type);
    const told = element("span", { class: "event-text", title: text }, text);
    this.list.prepend(element("li", {}, element("time", { datetime: timestamp }, clock), chip, told));
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
  }
}
