/** The menu of a layer: one popover for all rows of the list, filled when it opens. Parts add actions to it. */
import { element } from "./dom.js";

const WIDTH = 216;
const ROW = 36;
const EDGE = 8;

/** @typedef {{label: string, run: (layer: {name: string, title: string}) => void, when?: (layer: object) => boolean}} LayerAction */

export class LayerMenu {
  #actions = [];
  #popover = element("div", { id: "layer-menu", class: "glass layer-menu", popover: "auto" });

  constructor() {
    document.body.append(this.#popover);
  }

  /** @param {LayerAction} action an entry of every layer's menu, or of those for which `when` holds */
  add(action) {
    this.#actions.push(action);
  }

  /** The button of a row opens the menu of its layer, as it is then. The browser gives it the keyboard, Escape, and the way back of the focus. */
  serve(button, layerOf) {
    button.popoverTargetElement = this.#popover;
    button.addEventListener("click", () => this.#fill(layerOf(), button.getBoundingClientRect()));
  }

  #fill(layer, { left, top, bottom, right }) {
    const shown = this.#actions.filter(({ when }) => !when || when(layer));
    this.#popover.setAttribute("aria-label", layer.title);
    this.#popover.replaceChildren(...shown.map((action) => this.#entry(action, layer)));
    const height = shown.length * ROW + 14;
    const below = bottom + 4 + height <= innerHeight - EDGE ? bottom + 4 : Math.max(EDGE, top - 4 - height);
    const beside = Math.max(EDGE, Math.min(right - WIDTH, innerWidth - WIDTH - EDGE, left));
    Object.assign(this.#popover.style, { left: `${beside}px`, top: `${below}px`, width: `${WIDTH}px` });
  }

  #entry({ label, run }, layer) {
    const button = element("button", { type: "button" }, label);
    button.addEventListener("click", () => {
      this.#popover.hidePopover();
      run(layer);
    });
    return button;
  }
}
