/** The features that the map shows, as a table that can be sorted: filled while it is unfolded. Event: `go`, with the feature that was chosen ({target}). */
import { element, setText } from "./dom.js";
import { describe, formatNumber, formatValue, measure, TIME } from "./properties.js";

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
    setText(this.#note, rows.length > MOST ? `${MOST} of ${formatNumber(rows.length)}` : rows.length === 0 ? "Nothing is in view." : "");
  }

  #row({ target, name, shown, layer }) {
    const go = element("button", { type: "button" }, name);
    go.addEventListener("click", () => this.dispatchEvent(new CustomEvent("go", { detail: { target } })));
    return element("tr", {}, element("th", { scope: "row" }, go), element("td", {}, shown), element("td", { title: layer }, layer));
  }
}

/** What the columns have: the name, the measure that colours the layer, the layer. */
function cellsOf({ scene, drawable: { feature } }) {
  const { property, layer } = scene;
  const value = property ? measure(feature, property, layer.time_property) : NaN;
  const shown = Number.isFinite(value) ? (property === TIME ? formatValue("time", value) : withUnit(value, property)) : "–";
  return { name: scene.titleOf(feature), value, shown, layer: layer.title };
}

function withUnit(value, property) {
  const { unit } = describe(property);
  return `${formatNumber(value)}${unit && ` ${unit}`}`;
}

/** What has no value goes last. */
function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other);
  return (Number.isNaN(one) ? Infinity : one) - (Number.isNaN(other) ? Infinity : other) || 0;
}
