/** The panel as a thing: folded or not; on phones a sheet that is pulled up and down. */
import { gettext } from "./gettext.js";

const NARROW = matchMedia("(max-width: 640px)");
const PULLED = 30;

export class Panel {
  #panel = document.getElementById("panel");
  #button = document.getElementById("panel-toggle");

  constructor() {
    this.#button.addEventListener("click", () => this.setOpen(!this.open));
    this.#letPull(document.getElementById("panel-head"));
    this.setOpen(!NARROW.matches);
    NARROW.addEventListener("change", () => this.setOpen(!NARROW.matches));
  }

  /** Whether it lies over the lower part of the map. */
  get isSheet() {
    return NARROW.matches;
  }

  get open() {
    return this.#panel.dataset.open === "true";
  }

  setOpen(open) {
    this.#panel.dataset.open = String(open);
    this.#button.setAttribute("aria-expanded", String(open));
    this.#button.setAttribute("aria-label", open ? gettext("Fold the panel") : gettext("Unfold the panel"));
  }

  /** What of the map the panel covers, for fitting a view beside it. */
  get padding() {
    const { offsetWidth, offsetHeight } = this.#panel;
    return NARROW.matches
      ? { paddingTopLeft: [24, 40], paddingBottomRight: [24, offsetHeight + 16] }
      : { paddingTopLeft: [offsetWidth + 44, 36], paddingBottomRight: [60, 48] };
  }

  #letPull(head) {
    let from = null;
    head.addEventListener("pointerdown", (event) => (from = event.clientY));
    head.addEventListener("pointerup", (event) => {
      const pulled = from === null ? 0 : event.clientY - from;
      from = null;
      if (NARROW.matches && Math.abs(pulled) > PULLED) this.setOpen(pulled < 0);
    });
  }
}
