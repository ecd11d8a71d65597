/** The attribute filter: CQL2 text, presets that fit the layers, and what the server says about it. */
import { byTestId, element, setText } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";

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
  #scope = document.getElementById("filter-scope");
  #words = document.getElementById("filter-words");
  #properties = [];

  constructor(filter) {
    super();
    this.#input.value = filter;
    byTestId("filter-apply")
      .closest("form")
      .addEventListener("submit", (event) => {
        event.preventDefault();
        this.#apply();
      });
    this.#input.addEventListener("input", () => this.#complete());
    byTestId("filter-clear").addEventListener("click", () => this.#choose(""));
    this.#mark(filter);
  }

  /** @param {string[]} properties that features have */
  offer(properties) {
    this.#properties = properties;
    this.#complete();
    const fitting = PRESETS.flatMap(([pattern, preset]) => properties.filter((name) => pattern.test(name)).map(preset));
    this.#presets.replaceChildren(...fitting.slice(0, 4).map((text) => this.#chip(text)));
  }

  refuse(message) {
    setText(this.#error, message);
    this.#error.hidden = false;
    this.#input.setAttribute("aria-invalid", "true");
    this.#mark("");
  }

  /** Say which layers it is not for. @param {string[]} titles */
  nameOthers(titles) {
    const text = gettext("Not for %(layers)s: nothing there has this property.");
    setText(this.#scope, titles.length > 0 ? interpolate(text, { layers: titles.join(", ") }) : "");
  }

  /** Offer to end the word that is being written with the name of a property. */
  #complete() {
    const { value } = this.#input;
    const [word] = value.match(/[\w.]*$/);
    const fitting = this.#properties.filter((name) => name.toLowerCase().startsWith(word.toLowerCase()) && name !== word);
    const before = value.slice(0, value.length - word.length);
    this.#words.replaceChildren(...fitting.slice(0, 20).map((name) => element("option", { value: before + quoted(name) })));
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
    this.nameOthers([]);
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

/** As CQL2 writes a name: in quotes unless it is a word. */
function quoted(name) {
  return /^[A-Za-z_][\w.]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
