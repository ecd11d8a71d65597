/** The list of layers, in their order and groups: a switch, a count, a menu and the choice of colours for each. */
import { countOf } from "./cells.js";
import { element, setText } from "./dom.js";
import { rememberFold } from "./folds.js";
import { gettext, interpolate } from "./gettext.js";
import { inOrder } from "./layer-scenes.js";
import { byProperty, formatNumber } from "./properties.js";

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
  if (!complete) return [announced === null || large ? "…" : interpolate(gettext("%(count)s of %(total)s"), { count: formatNumber(size), total: formatNumber(announced) }), true];
  if (size === 0) return [narrowed ? gettext("none") : gettext("empty"), false];
  return [formatNumber(size), false];
}

export class LayerList extends EventTarget {
  #rows = new Map();
  #list;
  #menu;
  /** For those that are off, where there are many. */
  #others = element("ul", { class: "layers" });
  #fold = element("details", { class: "more-layers", "data-testid": "more-layers" }, element("summary", {}), this.#others);
  /** By their names. @type {Map<string, {details: HTMLElement, list: HTMLElement, note: HTMLElement}>} */
  #groups = new Map();

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
    this.#arrange();
  }

  /** The layer has another title, group or order. @param {import("./layer-scene.js").LayerScene} scene */
  update(scene) {
    const { title, choice } = this.#rows.get(scene.layer.name);
    setText(title, scene.layer.title);
    title.title = scene.layer.title;
    choice.setAttribute("aria-label", interpolate(gettext("Colour %(layer)s"), { layer: scene.layer.title }));
    this.#arrange();
  }

  remove(name) {
    this.#rows.get(name).item.remove();
    this.#rows.delete(name);
    this.#arrange();
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
    this.#arrange();
  }

  /** Every row in its order: in its group or, of those without one, as far as there is need to choose, what is on before what is off. */
  #arrange() {
    const rows = [...this.#rows.values()].sort((one, other) => inOrder(one.scene, other.scene));
    const many = rows.filter(({ scene }) => !scene.layer.group).length > SHOWN;
    const places = new Map([this.#list, this.#others].map((list) => [list, []]));
    for (const row of rows) {
      const { group } = row.scene.layer;
      const place = group ? this.#groupOf(group).list : many && !row.toggle.checked ? this.#others : this.#list;
      places.set(place, [...(places.get(place) ?? []), row]);
    }
    for (const [list, members] of places) fill(list, members);
    this.#tidyGroups(places);
    const folded = this.#others.children.length;
    this.#fold.hidden = folded === 0;
    setText(this.#fold.firstElementChild, interpolate(gettext("%(count)s more"), { count: folded }));
  }

  #groupOf(name) {
    if (!this.#groups.has(name)) {
      const [list, note] = [element("ul", { class: "layers" }), element("span", { class: "group-note" })];
      const details = element("details", { class: "layer-group" }, element("summary", {}, element("span", {}, name), note), list);
      rememberFold(details, `group:${name}`);
      this.#groups.set(name, { details, list, note });
    }
    return this.#groups.get(name);
  }

  /** Groups in the order of their first layers, with how many of them are on; none that are empty. */
  #tidyGroups(places) {
    let before = this.#list;
    for (const [list, members] of places) {
      const found = [...this.#groups].find(([, group]) => group.list === list);
      if (!found) continue;
      const { details, note } = found[1];
      setText(note, interpolate(gettext("%(count)s of %(total)s"), { count: members.filter(({ toggle }) => toggle.checked).length, total: members.length }));
      if (before.nextElementSibling !== details && !details.contains(document.activeElement)) before.after(details);
      before = details;
    }
    for (const [name, { details, list }] of this.#groups) {
      if (list.children.length > 0) continue;
      details.remove();
      this.#groups.delete(name);
    }
  }

  /** What a layer can be coloured by has become known. */
  setCandidates({ layer, candidates, property, ownStyle }) {
    const { choice } = this.#rows.get(layer.name);
    const others = [ownStyle.color?.property, property].filter((name) => name && !candidates.includes(name));
    const all = [...new Set(others), ...candidates];
    const options = all.map((name) => element("option", { value: name }, byProperty(name)));
    choice.replaceChildren(element("option", { value: "" }, gettext("one colour")), ...options);
    choice.value = property ?? "";
    choice.hidden = all.length === 0;
  }

  paintSwatch({ layer, symbols: { scale } }) {
    const { shown } = scale;
    const stops = [0, 1, 2, 3].map((part) => shown[Math.round((part / 3) * (shown.length - 1))]);
    this.#rows.get(layer.name).item.style.setProperty("--swatch", `linear-gradient(135deg, ${stops.join(", ")})`);
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
    const choice = element("select", { "aria-label": interpolate(gettext("Colour %(layer)s"), { layer: title }), class: "colour-choice" });
    choice.hidden = true;
    choice.addEventListener("change", () => this.#emit("colour", { scene, property: choice.value || null }));
    const shownTitle = element("span", { class: "layer-title", title }, title);
    const label = element("label", { for: `layer-${name}` }, element("span", { class: "swatch", "aria-hidden": "true" }), shownTitle);
    const more = moreButton(name, title);
    this.#menu.serve(more, () => scene.layer);
    const item = element("li", {}, label, count, toggle, more, choice);
    return { item, toggle, count, choice, scene, title: shownTitle };
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Put rows into a list, in their order; one that has the focus stays where it is. */
function fill(list, rows) {
  rows.forEach(({ item }, place) => {
    if (list.children[place] !== item && !item.contains(document.activeElement)) list.insertBefore(item, list.children[place] ?? null);
  });
}

function moreButton(name, title) {
  const button = element("button", { type: "button", class: "icon-button more", "data-testid": `layer-${name}-menu`, "aria-label": interpolate(gettext("More: %(layer)s"), { layer: title }) });
  button.textContent = "⋮";
  return button;
}
