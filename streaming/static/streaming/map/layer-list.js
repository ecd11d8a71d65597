/** The list of layers: a switch, a count, a menu and the choice of colours for each. */
import { element, setText } from "./dom.js";
import { describe } from "./properties.js";

export class LayerList extends EventTarget {
  #rows = new Map();
  #list;
  #menu;

  /** @param {HTMLElement} list @param {import("./layer-menu.js").LayerMenu} menu */
  constructor(list, menu) {
    super();
    this.#list = list;
    this.#menu = menu;
  }

  /** @param {import("./layer-scene.js").LayerScene} scene */
  add(scene) {
    const row = this.#row(scene);
    this.#rows.set(scene.layer.name, row);
    this.#list.append(row.item);
  }

  remove(name) {
    this.#rows.get(name).item.remove();
    this.#rows.delete(name);
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
