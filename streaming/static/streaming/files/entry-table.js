/**
 * The entries of a directory as a table: sorted, searched, and drawn some at a time, because there may be tens of thousands.
 * A row stays the same element while its entry is there, so that the focus stays where it is.
 */
import { element, setText } from "../map/dom.js";
import { gettext, interpolate, LANGUAGE } from "../map/gettext.js";
import { formatBytes } from "../map/properties.js";
import { address } from "./address.js";
import { nameOf } from "./paths.js";
import { ago, formatTime, kindOf } from "./words.js";

const STEP = 200;
const names = new Intl.Collator(LANGUAGE, { numeric: true, sensitivity: "base" });
const byName = (one, other) => names.compare(nameOf(one.path), nameOf(other.path));
const ORDERS = {
  name: byName,
  kind: (one, other) => names.compare(kindOf(one), kindOf(other)),
  size: (one, other) => one.size - other.size,
  modified: (one, other) => Date.parse(one.modified) - Date.parse(other.modified),
};

export class EntryTable {
  #body;
  #sorters;
  #rows = new Map();
  #shown = STEP;
  #query = "";
  #order = { by: "name", down: false };
  #entries = [];
  #fresh = new Set();

  /** @param {HTMLTableElement} table @param {HTMLElement} end what is scrolled into view when more rows are wanted */
  constructor(table, end) {
    this.#body = table.tBodies[0];
    this.#sorters = [...table.querySelectorAll("[data-sort]")];
    this.end = end;
    for (const button of this.#sorters) button.addEventListener("click", () => this.#sortBy(button.dataset.sort));
    new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.#showMore()).observe(end);
    setInterval(() => this.#draw(), 60_000); // "a minute ago"
  }

  /** @param {import("./directory.js").Metadata[]} entries @param {Map<string, object>} ingests by path @param {string} selected a path */
  show(entries, ingests, selected) {
    this.#entries = entries;
    this.ingests = ingests;
    this.selected = selected;
    this.#draw();
  }

  /** From the beginning: another directory. */
  reset() {
    this.#shown = STEP;
    this.#rows.clear();
    this.#body.replaceChildren();
  }

  search(text) {
    this.#query = text.trim().toLowerCase();
    this.#shown = STEP;
    this.#draw();
  }

  /** Give a row the focus. @param {string} path */
  focus(path) {
    this.#rows.get(path)?.link.focus();
  }

  /** Point at what has just changed. */
  flash(name) {
    this.#fresh.add(name);
  }

  #sortBy(by) {
    this.#order = { by, down: this.#order.by === by && !this.#order.down };
    for (const button of this.#sorters) {
      const sorted = button.dataset.sort === by;
      button.closest("th").setAttribute("aria-sort", sorted ? (this.#order.down ? "descending" : "ascending") : "none");
    }
    this.#draw();
  }

  #showMore() {
    if (this.#shown >= this.#entries.length) return;
    this.#shown += STEP;
    this.#draw();
  }

  #sorted() {
    const { by, down } = this.#order;
    const found = this.#query ? this.#entries.filter(({ path }) => nameOf(path).toLowerCase().includes(this.#query)) : [...this.#entries];
    const compare = ORDERS[by];
    return found.sort(
      (one, other) =>
        other.is_directory - one.is_directory || (down ? compare(other, one) : compare(one, other)) || byName(one, other),
    );
  }

  #draw() {
    const sorted = this.#sorted();
    const shown = sorted.slice(0, this.#shown);
    const kept = new Set(shown.map(({ path }) => path));
    for (const [path, row] of this.#rows) if (!kept.has(path)) [row.item.remove(), this.#rows.delete(path)];
    for (const [place, entry] of shown.entries()) {
      const row = this.#rows.get(entry.path) ?? this.#make(entry);
      if (this.#body.rows[place] !== row.item) this.#body.insertBefore(row.item, this.#body.rows[place] ?? null);
      this.#fill(row, entry);
    }
    this.#fresh.clear();
    const more = sorted.length - shown.length;
    setText(this.end, more > 0 ? interpolate(gettext("%(count)s more …"), { count: more }) : "");
  }

  #make(entry) {
    const name = nameOf(entry.path);
    const link = element("a", { class: "entry-name" });
    const row = {
      link,
      chip: element("span", { class: "chip" }),
      note: element("span", { class: "entry-note" }),
      kind: element("td", { class: "kind" }),
      size: element("td", { class: "number size" }),
      time: element("time"),
      more: element("a", { class: "icon-button", "aria-label": interpolate(gettext("Details of %(name)s"), { name }), title: gettext("Details") }, "⋯"),
    };
    row.item = element(
      "tr",
      { "data-name": name },
      element("th", { scope: "row" }, element("span", { class: "entry-icon", "aria-hidden": "true" }), link, row.chip, row.note),
      row.kind,
      row.size,
      element("td", { class: "time" }, row.time),
      element("td", { class: "more" }, row.more),
    );
    row.item.addEventListener("animationend", () => row.item.classList.remove("fresh"));
    row.item.addEventListener("click", ({ target }) => target.closest("a") || link.click());
    this.#rows.set(entry.path, row);
    return row;
  }

  #fill(row, entry) {
    const { path, size, modified, is_directory } = entry;
    const name = nameOf(path);
    row.item.dataset.kind = is_directory ? "directory" : "file";
    row.item.classList.toggle("selected", path === this.selected);
    if (this.#fresh.has(name)) row.item.classList.add("fresh");
    setText(row.link, name);
    row.link.setAttribute("href", is_directory ? address({ path }) : address({ file: path }));
    if (path === this.selected) row.link.setAttribute("aria-current", "true");
    else row.link.removeAttribute("aria-current");
    row.more.setAttribute("href", address({ file: path }));
    setText(row.kind, kindOf(entry));
    setText(row.size, is_directory ? "" : formatBytes(size));
    setText(row.time, modified ? ago(modified) : "");
    if (modified) Object.assign(row.time, { dateTime: modified, title: formatTime(modified) });
    setText(row.note, [is_directory ? "" : formatBytes(size), modified ? ago(modified) : ""].filter(Boolean).join(" · "));
    this.#fillChip(row.chip, this.ingests.get(path));
  }

  #fillChip(chip, ingest) {
    chip.hidden = !ingest || ingest.status === "ignored";
    if (chip.hidden) return;
    chip.dataset.status = ingest.status;
    const progress = ingest.progress ? ` ${Math.floor(ingest.progress * 100)}\u202f%` : "";
    const texts = {
      queued: gettext("waiting"),
      running: `${gettext("reading")}${progress}`,
      ready: ingest.kind === "tileset" ? gettext("tiles") : gettext("layer"),
      failed: gettext("not readable"),
    };
    setText(chip, texts[ingest.status] ?? ingest.status);
  }
}
