/** The legends: for every layer that is coloured by a property, its colours with the values that they stand for. */
import { element, svg } from "./dom.js";
import { rememberFold } from "./folds.js";
import { gettext, interpolate } from "./gettext.js";
import { ICONS } from "./icons.js";
import { COUNT, describe, formatNumber, formatTime, formatValue, TIME } from "./properties.js";

/** Of more, the legends of these layers are shown: what is on top of the map hides it. */
const MOST = { wide: 3, narrow: 2 };
/** Of more categories, these are shown. */
const MOST_ROWS = 8;
const andMore = (count) => interpolate(gettext("and %(count)s more"), { count });
const narrow = matchMedia("(max-width: 640px)");

/** @param {number} value of a scale @param {string} property */
function textOf(value, property) {
  if (property === TIME) return formatTime(value).slice(5, 16);
  if (property === COUNT) return formatNumber(Math.round(10 ** value));
  return formatNumber(Math.abs(value) >= 100 ? Math.round(value) : value);
}

/** A bar from the least to the greatest value. */
function bar({ symbols: { scale, property } }) {
  const strip = element("div", { class: "legend-bar" });
  strip.style.backgroundImage = `linear-gradient(90deg, ${scale.shown.join(", ")})`;
  const { stops } = scale;
  const ends = stops[0] === stops.at(-1) ? [stops[0]] : [stops[0], stops.at(-1)];
  return [strip, element("div", { class: "legend-ends" }, ...ends.map((value) => element("span", {}, textOf(value, property))))];
}

function row(colour, text, icon = null) {
  const shape = svg(icon ? ICONS[icon] : "M-.9-.9H.9V.9H-.9Z", "-1.1 -1.1 2.2 2.2");
  shape.setAttribute("class", "legend-icon");
  shape.style.color = colour;
  return element("li", {}, shape, element("span", { title: text }, text));
}

/** A line for each class, or for each category. */
function rows({ symbols: { scale, property }, style: { color, icon } }) {
  const iconOf = (value) => (icon?.property === property ? (icon.cases.find(([each]) => each === value)?.[1] ?? icon.default) : null);
  const stepped = () => color.stops.map(([value, colour]) => row(colour, `≥ ${textOf(value, property)}`));
  const matched = () => [
    ...color.cases.map(([value, colour]) => row(colour, formatValue(property, value), iconOf(value))),
    row(color.default, gettext("others"), icon?.property === property ? icon.default : null),
  ];
  const all = scale.type === "step" ? stepped() : matched();
  const more = all.length > MOST_ROWS ? [element("li", {}, andMore(all.length - MOST_ROWS))] : [];
  return [element("ul", { class: "legend-rows" }, ...all.slice(0, MOST_ROWS), ...more)];
}

function entry(scene) {
  const { label, unit } = describe(scene.property);
  const title = scene.style.color.title || `${label}${unit && ` (${unit})`}`;
  return element(
    "div",
    { class: "legend-entry" },
    element("div", { class: "legend-title" }, element("b", { title }, title), element("span", { title: scene.layer.title }, scene.layer.title)),
    ...(scene.symbols.scale.type === "interpolate" ? bar(scene) : rows(scene)),
  );
}

export class Legend {
  #box = document.getElementById("legend");
  #entries = this.#box.querySelector("[data-entries]");

  constructor() {
    rememberFold(this.#box.querySelector("details"), "legend");
  }

  /** @param {import("./layer-scene.js").LayerScene[]} scenes those that are switched on, the topmost first */
  show(scenes) {
    const coloured = scenes.filter(({ property, tracks, shapes }) => property !== null && tracks.size + shapes.size > 0);
    const most = narrow.matches ? MOST.narrow : MOST.wide;
    const others = coloured.slice(most).map(({ layer }) => layer.title);
    const note = others.length > 0 ? [element("div", { class: "legend-others", title: others.join(", ") }, andMore(others.length))] : [];
    this.#entries.replaceChildren(...coloured.slice(0, most).map(entry), ...note);
    this.#box.hidden = coloured.length === 0;
  }
}
