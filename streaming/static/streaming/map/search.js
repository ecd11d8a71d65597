/**
 * The search field: features that the page holds, by id, name or any other text of theirs, and places of the base map. The arrow keys choose,
 * Enter goes there. Event: `go`, with what was chosen ({target} or {place}).
 */
import { element } from "./dom.js";
import { gettext } from "./gettext.js";

const FEATURES = 8;
const PLACES = 4;
/** Typing on, one is not interrupted. */
const PAUSE = 120;

export class Search extends EventTarget {
  #input = document.getElementById("search-input");
  #list = document.getElementById("search-results");
  #scenes;
  #names;
  #found = [];
  #chosen = -1;
  #timer = null;

  /** @param {() => import("./layer-scene.js").LayerScene[]} scenes those that are shown @param {import("./base-names.js").BaseNames} names */
  constructor(scenes, names) {
    super();
    this.#scenes = scenes;
    this.#names = names;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#search(), PAUSE);
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("blur", () => this.#show([]));
    this.#list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus until the click
  }

  #search() {
    const wanted = this.#input.value.trim().toLowerCase();
    if (!wanted) return this.#show([]);
    const places = this.#names.find(wanted, PLACES).map((place) => ({ title: place.name, from: gettext("place"), place }));
    const { named, others } = this.#features(wanted);
    this.#show([...named, ...places, ...others.slice(0, Math.max(0, FEATURES - named.length))]);
    if (this.#found.length === 0) this.#list.replaceChildren(element("li", { class: "search-none" }, gettext("Nothing that is shown has this in it.")));
    this.#list.hidden = false;
  }

  /** Those whose name or id begins with it, and those that have it somewhere. */
  #features(wanted) {
    const [first, second] = [[], []];
    for (const scene of this.#scenes()) {
      for (const drawable of scene.drawables()) {
        if (first.length >= FEATURES) break;
        const title = scene.titleOf(drawable.feature);
        const found = { title, from: scene.layer.title, target: { scene, drawable } };
        if (title.toLowerCase().startsWith(wanted) || String(drawable.feature.id).toLowerCase().startsWith(wanted)) first.push(found);
        else if (second.length < FEATURES && hasText(drawable.feature, wanted)) second.push(found);
      }
    }
    return { named: first, others: second };
  }

  #show(found) {
    this.#found = found;
    this.#list.hidden = found.length === 0;
    this.#list.replaceChildren(...found.map((each, place) => this.#option(each, place)));
    this.#input.setAttribute("aria-expanded", String(found.length > 0));
    this.#choose(found.length > 0 ? 0 : -1);
  }

  #option({ title, from }, place) {
    const option = element("li", { role: "option", id: `search-${place}` }, element("span", {}, title), element("small", {}, from));
    option.addEventListener("click", () => this.#go(place));
    return option;
  }

  #choose(place) {
    this.#chosen = place;
    [...this.#list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    if (place < 0) this.#input.removeAttribute("aria-activedescendant");
    else this.#input.setAttribute("aria-activedescendant", `search-${place}`);
  }

  #key(event) {
    const count = this.#found.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && count > 0) this.#choose((this.#chosen + step + count) % count);
    else if (event.key === "Enter" && count > 0) this.#go(this.#chosen);
    else if (event.key === "Escape") this.#show([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #go(place) {
    const found = this.#found[place];
    this.#show([]);
    this.dispatchEvent(new CustomEvent("go", { detail: found }));
  }
}

function hasText({ properties }, wanted) {
  return Object.values(properties ?? {}).some((value) => typeof value === "string" && value.toLowerCase().includes(wanted));
}
