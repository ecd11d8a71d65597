/** The list of layers: a switch, a count and the choice of colours for each. */
import { element, setText } from "./dom.js";
import { describe, formatNumber } from "./properties.js";

export class LayerList extends EventTarget {
  #rows = new Map();

  /** @param {HTMLElement} list @param {import("./layer-scene.js").LayerScene[]} scenes @param {Set<string>} on */
  constructor(list, scenes, on) {
    super();
    for (const scene of scenes) {
      const row = this.#row(scene, on.has(scene.layer.name));
      this.#rows.set(scene.layer.name, row);
      list.append(row.item);
    }
  }

  /** @param {Record<string, number | null>} counts null: switched off */
  setCounts(counts) {
    for (const [name, { count }] of this.#rows) setText(count, counts[name] == null ? "–" : formatNumber(counts[name]));
  }

  /** The server refused the layer. */
  setOff(name) {
    this.#rows.get(name).toggle.checked = false;
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

  #row(scene, on) {
    const { name, title } = scene.layer;
    const toggle = element("input", {
      type: "checkbox",
      role: "switch",
      "data-testid": `layer-${name}-toggle`,
      id: `layer-${name}`,
      class: "switch",
    });
    toggle.checked = on;
    toggle.addEventListener("change", () => this.#emit("toggle", { scene, on: toggle.checked }));
    const count = element("span", { class: "count", "data-testid": `layer-${name}-count` }, "–");
    const choice = element("select", { "aria-label": `Colour ${title}`, class: "colour-choice" });
    choice.hidden = true;
    choice.addEventListener("change", () => this.#emit("colour", { scene, property: choice.value || null }));
    const label = element(
      "label",
      { for: `layer-${name}` },
      element("span", { class: "swatch", "aria-hidden": "true" }),
      element("span", { class: "layer-title" }, title),
    );
    const item = element("li", {}, label, count, toggle, choice);
    return { item, toggle, count, choice };
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
