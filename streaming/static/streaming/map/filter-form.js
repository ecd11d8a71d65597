/** The attribute filter: CQL2 text, presets that fit the layers, and what the server says about it. */
import { byTestId, element, setText } from "./dom.js";

const PRESETS = [
  [/^altitude_ft$/, (name) => `${name} > 30000`],
  [/^vertical_rate/, (name) => `${name} < -500`],
  [/^mag$/, (name) => `${name} >= 4.5`],
  [/speed_kt$/, (name) => `${name} > 450`],
  [/^pop_est$/, (name) => `${name} > 50000000`],
];

export class FilterForm extends EventTarget {
  #input = byTestId("filter-input");
  #error = byTestId("filter-error");
  #presets = document.getElementById("presets");

  constructor(filter) {
    super();
    this.#input.value = filter;
    byTestId("filter-apply")
      .closest("form")
      .addEventListener("submit", (event) => {
        event.preventDefault();
        this.#apply();
      });
    byTestId("filter-clear").addEventListener("click", () => this.#choose(""));
    this.#mark(filter);
  }

  /** @param {string[]} properties that features have */
  offer(properties) {
    const fitting = PRESETS.flatMap(([pattern, preset]) => properties.filter((name) => pattern.test(name)).map(preset));
    this.#presets.replaceChildren(...fitting.slice(0, 4).map((text) => this.#chip(text)));
  }

  refuse(message) {
    setText(this.#error, message);
    this.#error.hidden = false;
    this.#input.setAttribute("aria-invalid", "true");
    this.#mark("");
  }

  #chip(text) {
    const chip = element("button", { type: "button", class: "preset" }, text);
    chip.addEventListener("click", () => this.#choose(text));
    return chip;
  }

  #choose(text) {
    this.#input.value = text;
    this.#apply();
  }

  #apply() {
    this.#error.hidden = true;
    setText(this.#error, "");
    this.#input.removeAttribute("aria-invalid");
    const filter = this.#input.value.trim();
    this.#mark(filter);
    this.dispatchEvent(new CustomEvent("filter", { detail: filter || null }));
  }

  #mark(filter) {
    this.#input.classList.toggle("active", filter !== "");
    for (const chip of this.#presets.children) chip.setAttribute("aria-pressed", String(chip.textContent === filter));
  }
}
