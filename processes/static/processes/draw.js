// Draw a point, a line or an area on a map; the text field beside it has the GeoJSON.
/* global L */
import { gettext, pgettext } from "../streaming/map/gettext.js";
import { element } from "./dom.js";
import { drawn, isGeoJson, worldMap } from "./world-map.js";

const KINDS = { Point: gettext("Point"), Line: gettext("Line"), Area: pgettext("a drawn shape", "Area") };

/** Tools and a map for a `<textarea>`. */
export function drawField(text, countries) {
  const container = element("div", { class: "draw-map", role: "application", "aria-label": gettext("Map to draw on") });
  const hint = element("span", { class: "hint", role: "status" });
  const tools = element("div", { class: "draw-tools" },
    ...Object.entries(KINDS).map(([kind, text]) => element("button", { type: "button", class: "button", onclick: () => begin(kind) }, text)),
    element("button", { type: "button", class: "button quiet", onclick: clear }, gettext("Clear")),
    hint);
  let world, shape, sketch;
  let drawing = null; // { kind, points }

  function open() {
    if (world) return;
    world = worldMap(container, countries);
    world.map.on("click", (event) => add(event.latlng.wrap())).on("dblclick", finish);
    show();
  }
  function begin(kind) {
    clear();
    drawing = { kind, points: [] };
    world.map.doubleClickZoom.disable();
    container.classList.add("drawing");
    hint.textContent = kind === "Point" ? gettext("Click on the map") : gettext("Click for each corner, double-click to end");
  }
  function add(at) {
    if (!drawing) return;
    drawing.points.push([round(at.lng), round(at.lat)]);
    if (drawing.kind === "Point") return finish();
    sketch?.remove();
    sketch = L.polyline(drawing.points.map(([lng, lat]) => [lat, lng]), { color: world.accent, dashArray: "4 4" }).addTo(world.map);
  }
  function finish() {
    const { kind, points } = drawing ?? { points: [] };
    const distinct = points.filter((point, index) => index === 0 || String(point) !== String(points[index - 1]));
    const least = { Point: 1, Line: 2, Area: 3 }[kind];
    if (!drawing || distinct.length < least) return;
    stop();
    const [type, coordinates] = { Point: ["Point", distinct[0]], Line: ["LineString", distinct], Area: ["Polygon", [[...distinct, distinct[0]]]] }[kind];
    text.value = JSON.stringify({ type, coordinates });
    text.dispatchEvent(new Event("input"));
  }
  function stop() {
    drawing = null;
    sketch?.remove();
    container.classList.remove("drawing");
    hint.textContent = "";
    setTimeout(() => world.map.doubleClickZoom.enable(), 300);
  }
  function clear() {
    stop();
    text.value = "";
    text.dispatchEvent(new Event("input"));
  }
  function show() {
    shape?.remove();
    try {
      const value = JSON.parse(text.value);
      if (isGeoJson(value)) shape = drawn(world, value, { popups: false });
    } catch { /* not finished */ }
  }
  text.addEventListener("input", () => world && show());
  new IntersectionObserver((entries, observer) => entries.some((entry) => entry.isIntersecting) && (observer.disconnect(), open())).observe(container);
  return element("div", { class: "field" }, tools, container);
}

function round(degrees) {
  return Math.round(degrees * 1e5) / 1e5;
}
