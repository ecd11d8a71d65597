/** The trash: what was deleted or replaced, newest first, and restoring it. */
import { element, setText } from "../map/dom.js";
import { gettext, interpolate } from "../map/gettext.js";
import { formatBytes } from "../map/properties.js";
import { ago, formatTime, inWords } from "./words.js";

const PAGE = 100;

export class TrashView {
  #api;
  #actions;
  #rights;
  #body;
  #note;
  #more;
  #cursor = null;
  #turn = 0;

  /** @param {HTMLElement} root @param {{api: import("./api.js").FilesApi, actions: import("./actions.js").Actions, rights: () => import("./rights.js").Rights}} page */
  constructor(root, { api, actions, rights }) {
    this.root = root;
    this.#api = api;
    this.#actions = actions;
    this.#rights = rights;
    this.#body = root.querySelector("tbody");
    this.#note = root.querySelector("[data-part=note]");
    this.#more = root.querySelector("[data-part=more]");
    this.#more.addEventListener("click", () => this.#load());
  }

  async show() {
    this.root.hidden = false;
    this.#cursor = null;
    this.#body.replaceChildren();
    await this.#load();
  }

  async #load() {
    const turn = ++this.#turn;
    this.#more.hidden = true;
    try {
      const { trash, cursor } = await this.#api.trash(this.#cursor, PAGE);
      if (turn !== this.#turn) return;
      this.#body.append(...trash.map((each) => this.#row(each)));
      this.#cursor = cursor;
      this.#more.hidden = cursor === null;
      this.#count();
    } catch (error) {
      if (turn === this.#turn) setText(this.#note, inWords(error));
    }
  }

  #count() {
    setText(this.#note, this.#body.rows.length ? "" : gettext("The trash is empty."));
  }

  #row({ id, path, size, at, actor, expires }) {
    const time = (text) => element("time", { datetime: text, title: formatTime(text) }, ago(text));
    const restore = element("button", { type: "button", class: "button small", "aria-label": interpolate(gettext("Restore %(name)s"), { name: path }) }, gettext("Restore"));
    const row = element(
      "tr",
      {},
      element("th", { scope: "row" }, path),
      element("td", { class: "number size" }, formatBytes(size)),
      element("td", { class: "time" }, time(at)),
      element("td", { class: "kind" }, actor || "–"),
      element("td", { class: "time" }, expires ? time(expires) : "–"),
      element("td", { class: "more" }, restore),
    );
    restore.hidden = !this.#rights().allows("write", path);
    restore.addEventListener("click", async () => {
      if (!(await this.#actions.restore(id, path))) return;
      row.remove();
      this.#count();
    });
    return row;
  }
}
