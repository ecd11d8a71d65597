/** The fields of the style editor: each shows one member of a style, and has a function that changes it. */
import { CATEGORIES, COLOUR_BLIND_SAFE, NO_VALUE, PALETTES, paletteStops } from "../style/palettes.js";
import { element } from "./dom.js";
import { gettext, interpolate, pgettext } from "./gettext.js";
import { ICONS } from "./icons.js";
import { domainFor, rampFor } from "./palette.js";
import { byProperty, formatValue } from "./properties.js";

const MOST_CATEGORIES = 12;
const ICON_NAMES = {
  circle: gettext("circle"),
  square: gettext("square"),
  diamond: gettext("diamond"),
  triangle: gettext("triangle"),
  star: gettext("star"),
  cross: gettext("cross"),
  pin: gettext("pin"),
  arrow: gettext("arrow"),
  aircraft: gettext("aircraft"),
  ship: gettext("ship"),
  car: gettext("car"),
};
const SIZES = { least: 2, most: 40, usual: 12 };

/**
 * @typedef {object} Editing
 * @property {any} style that is edited; fields replace its members
 * @property {import("./property-survey.js").KnownProperty[]} properties of the layer
 * @property {"dark" | "light"} theme
 * @property {string} plain the colour of the layer that it has without a style
 * @property {() => void} changed call it after a change of a value
 * @property {() => void} redraw call it after a change of what fields there are
 */

/** A list to choose from, with a label. @param {[string, string][]} options @param {(value: string) => void} choose */
function choice(label, options, value, choose) {
  const select = element("select", { "aria-label": label }, ...options.map(([name, text]) => element("option", { value: name }, text)));
  select.value = value;
  select.addEventListener("change", () => choose(select.value));
  return element("label", { class: "style-line" }, element("span", {}, label), select);
}

/** A number, or nothing. @param {(value: number | null) => void} take */
function numberField(label, value, attributes, take) {
  const input = element("input", { type: "number", step: "any", value: value ?? "", "aria-label": label, ...attributes });
  input.addEventListener("input", () => take(input.value === "" || !Number.isFinite(input.valueAsNumber) ? null : input.valueAsNumber));
  return element("label", { class: "style-number" }, element("span", {}, label), input);
}

function colourField(label, value, take) {
  const input = element("input", { type: "color", value, "aria-label": label });
  input.addEventListener("input", () => take(input.value));
  return element("label", { class: "style-colour" }, input, element("span", { title: label }, label));
}

const isNumeric = ({ numbers, texts }) => numbers.length > texts.length;
const numericOf = ({ properties }) => properties.filter(isNumeric).map(({ name }) => [name, byProperty(name)]);
/** With what is saved, also if no feature has it now. */
const withSaved = (options, name) => (name === undefined || options.some(([each]) => each === name) ? options : [[name, byProperty(name)], ...options]);

/** @param {Editing} editing @returns {HTMLElement[]} */
export function colourFields(editing) {
  const { style, properties } = editing;
  const { color } = style;
  const value = typeof color === "object" ? `by:${color.property}` : color ? "one" : "";
  const by = withSaved(
    properties.map(({ name }) => [name, byProperty(name)]),
    color?.property,
  ).map(([name, text]) => [`by:${name}`, text]);
  const choose = (chosen) => {
    if (chosen === "") delete style.color;
    else style.color = chosen === "one" ? editing.plain : colourBy(editing, chosen.slice(3));
    editing.redraw();
  };
  const first = choice(gettext("Colour"), [["", gettext("automatic")], ["one", gettext("one colour")], ...by], value, choose);
  if (typeof color === "string") return [first, colourField(gettext("Colour of all"), color, (each) => ((style.color = each), editing.changed()))];
  if (color?.type === "interpolate") return [first, ...rampFields(editing)];
  if (color?.type === "match") return [first, categoryFields(editing)];
  return [first];
}

/** What a property is coloured by at first: numbers by a ramp over what there is, texts by a colour for each of the most frequent. */
function colourBy({ properties }, name) {
  const known = properties.find((each) => each.name === name);
  if (!known || isNumeric(known)) return { ...rampFor(name), ...(known && { domain: roundDomain(name, known.numbers) }) };
  const cases = known.texts.slice(0, MOST_CATEGORIES).map(([text], place) => [text, CATEGORIES[place % CATEGORIES.length]]);
  return { property: name, type: "match", cases, default: NO_VALUE };
}

function roundDomain(name, numbers) {
  const [low, high] = domainFor(name, numbers);
  return low < high ? [low, high] : [low, low + 1];
}

function rampFields(editing) {
  const { color } = editing.style;
  const names = Object.keys(PALETTES).map((name) => [name, COLOUR_BLIND_SAFE.has(name) ? interpolate(gettext("%(palette)s (colour-blind safe)"), { palette: name }) : name]);
  const strip = element("div", { class: "legend-bar" });
  const stops = color.stops ?? paletteStops(color.palette, editing.theme, [0, 1]);
  strip.style.backgroundImage = `linear-gradient(90deg, ${stops.map(([, each]) => each).join(", ")})`;
  const ends = color.stops ? [color.stops[0][0], color.stops.at(-1)[0]] : (color.domain ?? [null, null]);
  const choose = (palette) => {
    delete color.stops;
    Object.assign(color, { palette }, ends.every((end) => end !== null) && { domain: ends });
    editing.redraw();
  };
  const take = (place) => (end) => {
    ends[place] = end;
    if (color.stops) return choose(Object.keys(PALETTES)[0]);
    if (ends.includes(null)) delete color.domain;
    else color.domain = [...ends];
    editing.changed();
  };
  const own = color.stops ? [["", gettext("colours of its own")]] : [];
  return [
    choice(gettext("Palette"), [...own, ...names], color.palette ?? "", choose),
    strip,
    element("div", { class: "style-numbers" }, numberField(gettext("From"), ends[0], { placeholder: gettext("least") }, take(0)), numberField(gettext("to"), ends[1], { placeholder: gettext("greatest") }, take(1))),
  ];
}

function categoryFields(editing) {
  const { color } = editing.style;
  const rows = color.cases.map((each) => colourField(formatValue(color.property, each[0]), each[1], (colour) => ((each[1] = colour), editing.changed())));
  const others = colourField(gettext("others"), color.default, (colour) => ((color.default = colour), editing.changed()));
  return element("div", { class: "style-colours", role: "group", "aria-label": gettext("Colours") }, ...rows, others);
}

/** @param {Editing} editing @returns {HTMLElement[]} */
export function sizeFields(editing) {
  const { style, properties } = editing;
  const { size } = style;
  const value = typeof size === "object" ? `by:${size.property}` : size ? "one" : "";
  const by = withSaved(numericOf(editing), size?.property).map(([name, text]) => [`by:${name}`, text]);
  const choose = (chosen) => {
    if (chosen === "") delete style.size;
    else if (chosen === "one") style.size = SIZES.usual;
    else {
      const name = chosen.slice(3);
      const [low, high] = roundDomain(name, properties.find((each) => each.name === name)?.numbers ?? [0, 1]);
      const stops = [
        [low, 6],
        [high, 30],
      ];
      style.size = { property: name, type: "interpolate", stops };
    }
    editing.redraw();
  };
  const first = choice(gettext("Size"), [["", gettext("automatic")], ["one", gettext("one size")], ...by], value, choose);
  const limits = { min: String(SIZES.least), max: String(SIZES.most) };
  if (typeof size === "number") return [first, numberField(gettext("Pixels"), size, limits, (each) => each !== null && ((style.size = each), editing.changed()))];
  if (typeof size !== "object") return [first];
  const field = (label, stop) => numberField(label, stop[1], limits, (each) => each !== null && ((stop[1] = each), editing.changed()));
  return [first, element("div", { class: "style-numbers" }, field(gettext("Pixels from"), size.stops[0]), field(gettext("to"), size.stops.at(-1)))];
}

/** @param {Editing} editing @returns {HTMLElement[]} */
export function iconFields(editing) {
  const { style, properties } = editing;
  const own = typeof style.icon === "object" ? [["own", byProperty(style.icon.property)]] : [];
  const saved = style.icon;
  const icons = choice(gettext("Icon"), [["", gettext("automatic")], ...own, ...Object.keys(ICONS).map((name) => [name, ICON_NAMES[name] ?? name])], own.length ? "own" : (saved ?? ""), (chosen) => {
    if (chosen === "") delete style.icon;
    else style.icon = chosen === "own" ? saved : chosen;
    editing.changed();
  });
  const member = (label, none, name, options) =>
    choice(label, [["", none], ...withSaved(options, style[name]?.property)], style[name]?.property ?? "", (property) => {
      if (property === "") delete style[name];
      else style[name] = { ...style[name], property };
      editing.redraw();
    });
  const all = properties.map(({ name }) => [name, byProperty(name)]);
  const label = member(gettext("Label"), pgettext("label or direction", "none"), "label", all);
  if (!style.label) return [icons, member(gettext("Direction"), pgettext("label or direction", "none"), "rotate", numericOf(editing)), label];
  const zoom = numberField(gettext("Labels from zoom"), style.label.min_zoom ?? null, { min: "0", max: "24", placeholder: "6.5" }, (each) => {
    if (each === null) delete style.label.min_zoom;
    else style.label.min_zoom = each;
    editing.changed();
  });
  return [icons, member(gettext("Direction"), pgettext("label or direction", "none"), "rotate", numericOf(editing)), label, zoom];
}
