/** The legends: for every layer with a coloured property, its ramp from the lowest to the highest value. */
import { element } from "./dom.js";
import { COUNT, describe, formatNumber, formatTime, TIME } from "./properties.js";

function ends({ property, domain }) {
  if (property === TIME) return domain.map((value) => formatTime(value).slice(5, 16));
  if (property === COUNT) return domain.map((value) => formatNumber(Math.round(10 ** value)));
  return domain.map((value) => formatNumber(Math.abs(value) >= 100 ? Math.round(value) : value));
}

function entry(scene) {
  const { label, unit } = describe(scene.property);
  const bar = element("div", { class: "legend-bar" });
  bar.style.backgroundImage = `linear-gradient(90deg, ${scene.colours.join(", ")})`;
  const texts = scene.domain[0] === scene.domain[1] ? ends(scene).slice(1) : ends(scene);
  return element(
    "div",
    { class: "legend-entry" },
    element("div", { class: "legend-title" }, `${label}${unit && ` (${unit})`}`, element("span", {}, scene.layer.title)),
    bar,
    element("div", { class: "legend-ends" }, ...texts.map((text) => element("span", {}, text))),
  );
}

/** Of more, the legends of these layers are shown: what is on top of the map hides it. */
const MOST = { wide: 3, narrow: 2 };
const narrow = matchMedia("(max-width: 640px)");

/** @param {HTMLElement} box @param {import("./layer-scene.js").LayerScene[]} scenes those that are switched on */
export function showLegends(box, scenes) {
  const coloured = scenes.filter(({ property, tracks, shapes }) => property && tracks.size + shapes.size > 0);
  const most = narrow.matches ? MOST.narrow : MOST.wide;
  const others = coloured.slice(most).map(({ layer }) => layer.title);
  const note = others.length > 0 ? [element("div", { class: "legend-others", title: others.join(", ") }, `and ${others.length} more`)] : [];
  box.replaceChildren(...coloured.slice(0, most).map(entry), ...note);
  box.hidden = coloured.length === 0;
}
