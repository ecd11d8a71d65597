/** The list of layers: a switch, a count, a menu and the choice of colours for each. */
import { countOf } from "./cells.js";
import { element, setText } from "./dom.js";
import { describe, formatNumber } from "./properties.js";

/** Of more layers, those that are off are in a group of their own, which is folded. */
const SHOWN = 7;

/**
 * What the page holds of a layer.
 * @param {import("../geostream.js").FeatureSubscription | undefined} subscription undefined: switched off
 * @param {{complete: boolean, narrowed: boolean, large: boolean}} state whether all has come; whether less than all was asked for
 * @returns {[string, boolean]} in words, and whether more is on its way
 */
export function describeCount(subscription, { complete, narrowed, large }) {
  if (!subscription) return ["–", false];
  const { announced, features } = subscription;
  const size = countOf(features);
  if (!complete) return [announced === null || large ? "…" : `${formatNumber(size)} of ${formatNumber(announced)}`, true];
  if (size === 0) return [narrowed ? "none" : "empty", false];
  return [formatNumber(size), false];
}

export class LayerList extends EventTarget {
  #rows = new Map();
  #list;
  #menu;
  /** For those that are off, where there are many. */
  #others = element("ul", { class: "layers" });
  #fold = element("details", { class: "more-layers", "data-testid": "more-layers" }, element("summary", {}), this.#others);

  /** @param {HTMLElement} list @param {import("./layer-menu.js").LayerMenu} menu */
  constructor(list, menu) {
    super();
    this.#list = list;
    this.#menu = menu;
    this.#fold.hidden = true;
    list.after(this.#fold);
  }

  /** @param {import("./layer-scene.js").LayerScene} scene */
  add(scene) {
    const row = this.#row(scene);
    this.#rows.set(scene.layer.name, row);
    this.#list.append(row.item);
    this.#group();
  }

  remove(name) {
    this.#rows.get(name).item.remove();
    this.#rows.delete(name);
    this.#group();
  }

  /** @param {string} name @param {string} text what is held of the layer, in words @param {boolean} busy whether more is on its way */
  setCount(name, text, busy = false) {
    const { count, item } = this.#rows.get(name);
    setText(count, text);
    item.toggleAttribute("data-busy", busy);
  }

  /** Without the event of a user who switches. */
  setSwitch(name, on) {
    this.#rows.get(name).toggle.checked = on;
    this.#group();
  }

  /** What is on goes first, as far as there is need to choose; a row that has the focus stays where it is. */
  #group() {
    const rows = [...this.#rows.values()];
    const many = rows.length > SHOWN;
    for (const { item, toggle } of rows) {
      const place = many && !toggle.checked ? this.#others : this.#list;
      if (item.parentElement !== place && !item.contains(document.activeElement)) place.append(item);
    }
    const folded = this.#others.children.length;
    this.#fold.hidden = folded === 0;
    setText(this.#fold.firstElementChild, `${folded} more`);
  }

  /** What a layer can be coloured by has become known. */
  setCandidates({ layer, candidates, property }) {
    const { choice } = this.#rows.get(layer.name);
    const options = candidates.map((name) => element("option", { value: name }, `by ${describe(name).label.toLowerCase()}`));
    choice.replaceChildren(element("option", { value: "" }, "one colour"), ...options);
    choice.value = property ?? "";
    choice.hidden = candidates.length === 0;
  }

  paintSwatch({ layer, colours }) {
    this.#rows
      .get(layer.name)
      .item.style.setProperty("--swatch", `linear-gradient(135deg, ${[0, 8, 16, 23].map((step) => colours[step]).join(", ")})`);
  }

  #row(scene) {
    const { name, title } = scene.layer;
    const toggle = element("input", {
      type: "checkbox",
      role: "switch",
      "data-testid": `layer-${name}-toggle`,
      id: `layer-${name}`,
      class: "switch",
    });
    toggle.addEventListener("change", () => this.#emit("toggle", { scene, on: toggle.checked }));
    const count = element("span", { class: "count", "data-testid": `layer-${name}-count` }, "–");
    const choice = element("select", { "aria-label": `Colour ${title}`, class: "colour-choice" });
    choice.hidden = true;
    choice.addEventListener("change", () => this.#emit("colour", { scene, property: choice.value || null }));
    const label = element(
      "label",
      { for: `layer-${name}` },
      element("span", { class: "swatch", "aria-hidden": "true" }),
      element("span", { class: "layer-title", title }, title),
    );
    const more = moreButton(name, title);
    this.#menu.serve(more, scene.layer);
    const item = element("li", {}, label, count, toggle, more, choice);
    return { item, toggle, count, choice };
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function moreButton(name, title) {
  const button = element("button", { type: "button", class: "icon-button more", "data-testid": `layer-${name}-menu`, "aria-label": `More: ${title}` });
  button.textContent = "⋮";
  return button;
}
