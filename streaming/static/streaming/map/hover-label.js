/** What a feature is called and the value that it is coloured by, beside it: under the pointer, or where the keyboard is. */
import { element } from "./dom.js";
import { COUNT, formatValue, TIME } from "./properties.js";

const OFFSET = 16;

/** @param {{scene: import("./layer-scene.js").LayerScene, drawable: {feature: object}}} target */
export function tellingValue({ scene: { symbols }, drawable: { feature } }) {
  const { property } = symbols;
  const value = property === null || property === COUNT ? null : symbols.valueOf(feature);
  if (value === undefined || value === null || Number.isNaN(value)) return "";
  return formatValue(property === TIME ? "time" : property, value);
}

export class HoverLabel {
  #overlay;
  #label = element("div", { class: "glass hover-label", hidden: "", "data-testid": "hover-label" });

  /** @param {HTMLElement} container of the map @param {object} overlay the feature overlay */
  constructor(container, overlay) {
    this.#overlay = overlay;
    container.append(this.#label);
    overlay.on("frame", () => this.#follow());
  }

  /** @param {object} target @param {{x: number, y: number}} place where it is, if the overlay does not know */
  show(target, place) {
    const { scene, drawable } = target;
    const value = tellingValue(target);
    this.#label.replaceChildren(element("b", {}, scene.titleOf(drawable.feature)), ...(value ? [element("span", {}, value)] : []));
    this.#label.hidden = false;
    this.#overlay.hovered = target;
    this.#overlay.redrawPoints();
    this.#place(this.#overlay.whereIs(target) ?? place);
  }

  hide() {
    if (this.#label.hidden) return;
    this.#label.hidden = true;
    this.#overlay.hovered = null;
    this.#overlay.redrawPoints();
  }

  #follow() {
    const spot = this.#label.hidden ? null : this.#overlay.whereIs(this.#overlay.hovered);
    if (spot) this.#place(spot);
  }

  /** Right of it, or left of it at the edge of the map. */
  #place({ x, y }) {
    const { offsetWidth: width, offsetHeight: height, parentElement } = this.#label;
    const left = x + OFFSET + width > parentElement.clientWidth ? x - OFFSET - width : x + OFFSET;
    this.#label.style.transform = `translate(${Math.round(left)}px, ${Math.round(y - height / 2)}px)`;
  }
}
