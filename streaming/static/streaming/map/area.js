/**
 * Drawing a box or a polygon with mouse, pen or finger. A box is dragged from corner to corner; a polygon is a corner per
 * tap, finished by a double tap, a tap on its first corner, or Enter. Escape gives up. What is outside the area is veiled.
 */
const L = globalThis.L;
const CLOSE_ENOUGH = 14;
const WORLD = [
  [-89.9, -540],
  [-89.9, 540],
  [89.9, 540],
  [89.9, -540],
];

const round = (degrees) => Math.round(degrees * 1e5) / 1e5;
const wrap = (longitude) => round(((((longitude + 180) % 360) + 360) % 360) - 180);

export class AreaTool extends EventTarget {
  #map;
  #theme;
  #mode = null;
  #corners = [];
  #pointer = null;
  #sketch = L.layerGroup();
  #shown = L.layerGroup();
  #ring = null;

  constructor(map, theme) {
    super();
    this.#map = map;
    this.#theme = theme;
    this.#sketch.addTo(map);
    this.#shown.addTo(map);
    const box = map.getContainer();
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"])
      box.addEventListener(type, (event) => this.#point(event), true);
    box.addEventListener("dblclick", (event) => this.#mode && (event.stopPropagation(), this.#finishPolygon()), true);
    document.addEventListener("keydown", (event) => this.#key(event));
    theme.addEventListener("change", () => this.#show());
  }

  /** "box", "polygon" or null. */
  get mode() {
    return this.#mode;
  }

  /** Start drawing; the same mode again gives up. */
  start(mode) {
    const next = this.#mode === mode ? null : mode;
    this.#mode = next;
    this.#corners = [];
    this.#sketch.clearLayers();
    this.#map.getContainer().classList.toggle("drawing", next !== null);
    for (const handler of ["dragging", "doubleClickZoom", "boxZoom"]) this.#map[handler][next ? "disable" : "enable"]();
    this.dispatchEvent(new Event("mode"));
  }

  /** Show an area: `{bbox}` or `{geometry}` in the terms of the protocol, or null. */
  show(area) {
    this.#ring = area?.bbox ? ringOfBox(area.bbox) : (area?.geometry?.coordinates[0].map(([lon, lat]) => [lat, lon]) ?? null);
    this.#show();
  }

  #show() {
    this.#shown.clearLayers();
    if (!this.#ring) return;
    const { veil, accent } = this.#theme.colours;
    L.polygon([WORLD, this.#ring], { stroke: false, fillColor: veil, fillOpacity: 0.42, interactive: false }).addTo(this.#shown);
    L.polygon(this.#ring, { color: accent, weight: 2, fill: false, interactive: false, className: "area-outline" }).addTo(this.#shown);
  }

  #point(event) {
    if (!this.#mode || event.target.closest(".leaflet-control")) return;
    event.stopPropagation();
    const place = this.#map.mouseEventToLatLng(event);
    if (this.#mode === "box") this.#pointBox(event, place);
    else this.#pointPolygon(event, place);
  }

  #pointBox(event, place) {
    if (event.type === "pointerdown" && event.isPrimary) {
      this.#map.getContainer().setPointerCapture(event.pointerId);
      this.#corners = [place];
    } else if (this.#corners.length === 1 && event.type === "pointermove") {
      this.#sketchRing([this.#corners[0], [this.#corners[0].lat, place.lng], place, [place.lat, this.#corners[0].lng]]);
    } else if (this.#corners.length === 1 && event.type === "pointerup") {
      this.#finishBox(this.#corners[0], place);
    } else if (event.type === "pointercancel") {
      this.#corners = [];
    }
  }

  #finishBox(a, b) {
    const [from, to] = [this.#map.latLngToContainerPoint(a), this.#map.latLngToContainerPoint(b)];
    this.#corners = [];
    if (Math.abs(from.x - to.x) < 4 || Math.abs(from.y - to.y) < 4) return;
    const [west, east] = [Math.min(a.lng, b.lng), Math.max(a.lng, b.lng)];
    const [south, north] = [Math.max(-90, Math.min(a.lat, b.lat)), Math.min(90, Math.max(a.lat, b.lat))];
    const whole = east - west >= 360;
    this.#finish({ bbox: [whole ? -180 : wrap(west), round(south), whole ? 180 : wrap(east), round(north)] });
  }

  #pointPolygon(event, place) {
    if (event.type === "pointerdown") this.#pointer = [event.clientX, event.clientY];
    if (event.type === "pointermove" && this.#corners.length > 0) this.#sketchRing([...this.#corners, place]);
    if (event.type !== "pointerup" || !this.#pointer) return;
    this.#pointer = null;
    if (this.#corners.length >= 3 && this.#isNear(this.#corners[0], place)) this.#finishPolygon();
    else if (!this.#corners.length || !this.#isNear(this.#corners.at(-1), place, 3)) this.#addCorner(place);
  }

  #addCorner(place) {
    this.#corners.push(place);
    this.#sketchRing(this.#corners);
  }

  #isNear(a, b, reach = CLOSE_ENOUGH) {
    return this.#map.latLngToContainerPoint(a).distanceTo(this.#map.latLngToContainerPoint(b)) < reach;
  }

  #sketchRing(ring) {
    const { accent } = this.#theme.colours;
    this.#sketch.clearLayers();
    L.polygon(ring, { color: accent, weight: 2, dashArray: "6 5", fillColor: accent, fillOpacity: 0.1, interactive: false }).addTo(
      this.#sketch,
    );
    if (this.#mode !== "polygon") return;
    for (const corner of this.#corners)
      L.circleMarker(corner, { radius: 5, color: accent, weight: 2, fillColor: "#fff", fillOpacity: 1, interactive: false }).addTo(
        this.#sketch,
      );
  }

  #finishPolygon() {
    if (this.#mode !== "polygon" || this.#corners.length < 3) return;
    const ring = this.#corners.map(({ lng, lat }) => [round(lng), round(lat)]);
    this.#finish({ geometry: { type: "Polygon", coordinates: [[...ring, ring[0]]] } });
  }

  #finish(area) {
    this.start(null);
    this.show(area);
    this.dispatchEvent(new CustomEvent("area", { detail: area }));
  }

  #key(event) {
    if (!this.#mode) return;
    if (event.key === "Escape") this.start(null);
    if (event.key === "Enter") this.#finishPolygon();
  }
}

function ringOfBox([west, south, east, north]) {
  const right = east < west ? east + 360 : east;
  return [
    [south, west],
    [north, west],
    [north, right],
    [south, right],
  ];
}
