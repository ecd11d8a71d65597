/**
 * The features that the map shows, as a table that can be sorted: filled while it is unfolded. Events: `go`, with the feature that was chosen
 * ({target}), `hint`, with the one that has the focus or the pointer (null: none has).
 */
import { element, setText } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";
import { tellingValue } from "./hover-label.js";
import { formatNumber } from "./properties.js";

const MOST = 100;
const EVERY = 1_000;

export class ViewTable extends EventTarget {
  #fold = document.getElementById("in-view");
  #body = this.#fold.querySelector("tbody");
  #note = this.#fold.querySelector("[data-note]");
  #heads = [...this.#fold.querySelectorAll("th button")];
  #overlay;
  #sort = { by: "name", up: true };

  /** @param {object} overlay the feature overlay, which knows what is drawn */
  constructor(overlay) {
    super();
    this.#overlay = overlay;
    for (const head of this.#heads) head.addEventListener("click", () => this.#sortBy(head.dataset.by));
    this.#fold.addEventListener("toggle", () => this.#fill());
    setInterval(() => this.#fold.open && this.#fill(), EVERY);
    this.#markSort();
  }

  #sortBy(by) {
    this.#sort = { by, up: this.#sort.by === by ? !this.#sort.up : true };
    this.#markSort();
    this.#fill();
  }

  #markSort() {
    for (const head of this.#heads) {
      const mine = head.dataset.by === this.#sort.by;
      head.parentElement.setAttribute("aria-sort", mine ? (this.#sort.up ? "ascending" : "descending") : "none");
    }
  }

  #fill() {
    if (!this.#fold.open || this.#body.contains(document.activeElement)) return; // nobody's row goes from under the fingers
    const rows = this.#overlay.drawnTargets().map((target) => ({ target, ...cellsOf(target) }));
    const { by, up } = this.#sort;
    rows.sort((one, other) => compare(one[by], other[by]) * (up ? 1 : -1));
    this.#body.replaceChildren(...rows.slice(0, MOST).map((row) => this.#row(row)));
    setText(this.#note, rows.length > MOST ? interpolate(gettext("%(count)s of %(total)s"), { count: MOST, total: formatNumber(rows.length) }) : rows.length === 0 ? gettext("Nothing is in view.") : "");
  }

  #row({ target, name, shown, layer }) {
    const go = element("button", { type: "button" }, name);
    go.addEventListener("click", () => this.dispatchEvent(new CustomEvent("go", { detail: { target } })));
    const hint = (detail) => this.dispatchEvent(new CustomEvent("hint", { detail }));
    for (const type of ["focus", "mouseenter"]) go.addEventListener(type, () => hint(target));
    for (const type of ["blur", "mouseleave"]) go.addEventListener(type, () => hint(null));
    return element("tr", {}, element("th", { scope: "row" }, go), element("td", {}, shown), element("td", { title: layer }, layer));
  }
}

/** What the columns have: the name, the measure that colours the layer, the layer. */
function cellsOf(target) {
  const { scene, drawable } = target;
  const value = scene.symbols.valueOf(drawable.feature);
  return { name: scene.titleOf(drawable.feature), value, shown: tellingValue(target) || "–", layer: scene.layer.title };
}

/** Numbers before texts; what has neither goes last. */
function compare(one, other) {
  const rank = (value) => (typeof value === "number" && !Number.isNaN(value) ? 0 : typeof value === "string" ? 1 : 2);
  if (rank(one) !== rank(other)) return rank(one) - rank(other);
  return rank(one) === 0 ? one - other : rank(one) === 1 ? one.localeCompare(other) : 0;
}
