/** Shows the uploads: how far they are in all, and each that is being sent, waits for an answer, or has failed. */
import { element, setText } from "../map/dom.js";
import { gettext, interpolate } from "../map/gettext.js";
import { formatBytes } from "../map/properties.js";

const SHOWN = 60;
const DRAW_EVERY = 120;
const ORDER = ["asking", "sending", "failed", "waiting", "done", "skipped", "cancelled"];
const TEXTS = {
  waiting: gettext("waiting"),
  asking: gettext("is there already"),
  done: gettext("uploaded"),
  skipped: gettext("skipped"),
  cancelled: gettext("cancelled"),
};

export class UploadPanel {
  #uploads;
  #parts;
  #rows = new Map();
  #timer = null;
  #said = "";

  /** @param {import("./uploads.js").Uploads} uploads @param {HTMLElement} root */
  constructor(uploads, root) {
    this.#uploads = uploads;
    this.root = root;
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    this.#parts = Object.fromEntries(["summary", "bar", "list", "more", "stop", "close", "announcement"].map((name) => [name, part(name)]));
    this.#parts.stop.addEventListener("click", () => uploads.cancelAll());
    this.#parts.close.addEventListener("click", () => uploads.clear());
    uploads.addEventListener("change", () => (this.#timer ??= setTimeout(() => this.#show(), DRAW_EVERY)));
  }

  #show() {
    this.#timer = null;
    const { files, ended, failed, bytes, sent } = this.#uploads.figures;
    const busy = ended < files;
    this.root.hidden = files === 0;
    setText(this.#parts.summary, busy ? this.#progress(this.#uploads.figures) : this.#outcome(files, failed));
    Object.assign(this.#parts.bar, { max: Math.max(bytes, 1), value: busy ? sent : Math.max(bytes, 1) });
    this.#parts.bar.hidden = this.#parts.stop.hidden = !busy;
    this.#parts.close.hidden = busy;
    this.#announce(busy ? "" : this.#parts.summary.textContent);
    this.#showRows();
  }

  #progress({ files, ended, bytes, sent }) {
    const text = gettext("%(done)s of %(all)s uploaded · %(sent)s of %(bytes)s");
    return interpolate(text, { done: ended, all: files, sent: formatBytes(sent), bytes: formatBytes(bytes) });
  }

  #outcome(files, failed) {
    const done = this.#uploads.all.filter(({ state }) => state === "done").length;
    const uploaded = interpolate(gettext("%(done)s of %(all)s uploaded"), { done, all: files });
    return failed ? `${uploaded}, ${interpolate(gettext("%(count)s failed"), { count: failed })}` : uploaded;
  }

  /** Once, when all have ended: not at every step. */
  #announce(text) {
    if (text !== this.#said) setText(this.#parts.announcement, (this.#said = text));
  }

  #showRows() {
    const rank = ({ state }) => ORDER.indexOf(state);
    const shown = [...this.#uploads.all].sort((one, other) => rank(one) - rank(other)).slice(0, SHOWN);
    const kept = new Set(shown);
    for (const [upload, row] of this.#rows) if (!kept.has(upload)) [row.item.remove(), this.#rows.delete(upload)];
    for (const [place, upload] of shown.entries()) {
      const row = this.#rows.get(upload) ?? this.#make(upload);
      if (this.#parts.list.children[place] !== row.item) this.#parts.list.insertBefore(row.item, this.#parts.list.children[place] ?? null);
      this.#fill(row, upload);
    }
    const more = this.#uploads.all.length - shown.length;
    setText(this.#parts.more, more > 0 ? interpolate(gettext("and %(count)s more"), { count: more }) : "");
  }

  #make(upload) {
    const button = (text, act) => {
      const made = element("button", { type: "button", class: "button quiet small", "aria-label": `${text}: ${upload.wanted}` }, text);
      made.addEventListener("click", act);
      return made;
    };
    const row = {
      name: element("span", { class: "upload-name" }),
      state: element("span", { class: "upload-state" }),
      bar: element("progress", { "aria-label": upload.wanted }),
      cancel: button(gettext("Cancel"), () => this.#uploads.cancel(upload)),
      retry: button(gettext("Try again"), () => this.#uploads.retry(upload)),
    };
    row.item = element("li", {}, row.name, row.state, row.cancel, row.retry, row.bar);
    this.#rows.set(upload, row);
    return row;
  }

  #fill(row, upload) {
    row.item.dataset.state = upload.state;
    setText(row.name, upload.path);
    setText(row.state, this.#stateOf(upload));
    Object.assign(row.bar, { max: Math.max(upload.size, 1), value: upload.sent });
    row.bar.hidden = upload.state !== "sending";
    row.cancel.hidden = upload.ended;
    row.retry.hidden = upload.state !== "failed";
  }

  #stateOf({ state, sent, size, message }) {
    if (state === "sending") return size ? `${Math.floor((sent / size) * 100)}\u202f%` : "";
    return state === "failed" ? message : TEXTS[state];
  }
}
