/** The filter of the page: what is typed is judged by what layers have, applied to those that it is for, and remembered. Event: `change`. */
import { FilterForm } from "./filter-form.js";
import { FilterScope } from "./filter-scope.js";
import { gettext, interpolate } from "./gettext.js";

export class FilterControl extends EventTarget {
  #live;
  #scenes;
  #names;
  #form;
  #scope;
  /** The filter that was asked for last, and the layers that the one of now is not for. */
  #asked;
  #others = "";

  /**
   * @param {import("./live.js").Live} live @param {Map<string, import("./layer-scene.js").LayerScene>} scenes by layer
   * @param {() => string[]} names of the layers that are switched on @param {string} url of the API's layers
   */
  constructor(live, scenes, names, url) {
    super();
    this.#live = live;
    this.#scenes = scenes;
    this.#names = names;
    this.#asked = live.conditions.filter;
    this.#form = new FilterForm(this.#asked ?? "");
    this.#scope = new FilterScope(scenes, url);
    this.#form.addEventListener("filter", ({ detail }) => {
      this.#asked = detail;
      this.#judge(detail);
    });
  }

  /** Layers, or what is known of them, have changed. */
  review() {
    this.#form.offer(this.#scope.offered(this.#names()));
    this.#judge(this.#live.conditions.filter);
  }

  /** The server refused something. @param {{code: string, message: string}} error @returns {boolean} whether it was the filter */
  refused({ code, message }) {
    this.#asked = this.#live.conditions.filter;
    if (code === "invalid_filter") this.#form.refuse(message);
    return code === "invalid_filter";
  }

  /** See for which layers a filter is, and say so; then it holds. */
  async #judge(text) {
    const { others, unknown, properties } = await this.#scope.judge(text, this.#names());
    if (text !== this.#asked) return; // another one was asked for meanwhile
    if (unknown.length > 0) return this.#giveUp(text, nothingHas(unknown, properties));
    this.#form.nameOthers(others.map((name) => this.#scenes.get(name)?.layer.title ?? name));
    if (text === this.#live.conditions.filter && others.join() === this.#others) return;
    this.#others = others.join();
    this.#live.apply({ filter: text }, others);
    this.dispatchEvent(new Event("change"));
  }

  #giveUp(text, why) {
    if (this.#live.conditions.filter === text) this.#live.apply({ filter: null });
    this.#asked = this.#live.conditions.filter;
    this.#form.refuse(why);
  }
}

function nothingHas(unknown, properties) {
  return interpolate(gettext("Nothing has %(names)s. There is: %(others)s"), { names: unknown.join(", "), others: properties.join(", ") });
}
