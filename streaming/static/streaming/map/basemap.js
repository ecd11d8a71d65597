/**
 * The base map, which needs no network: countries and a graticule on a canvas behind everything; names of countries and cities on another,
 * above the imagery and below the features.
 */
import { toX, toY, worldSize } from "./mercator.js";
import { PLACES } from "./places.js";
import { Shape } from "./shape.js";

const L = globalThis.L;
const MARGIN = 0.25;
const GRATICULE = [
  [7, 1],
  [5, 5],
  [3.5, 10],
  [0, 30],
];

/** Where to write a country's name: the middle of its largest ring. */
function anchorOf(shape) {
  const size = ({ points }) => {
    const xs = points.map(([x]) => x);
    return Math.max(...xs) - Math.min(...xs);
  };
  const { points } = shape.parts.reduce((best, part) => (size(part) > size(best) ? part : best));
  let [area, x, y] = [0, 0, 0];
  points.forEach(([ax, ay], place) => {
    const [bx, by] = points[(place + 1) % points.length];
    const cross = ax * by - bx * ay;
    area += cross;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
  });
  return { x: x / (3 * area), y: y / (3 * area), width: size({ points }) };
}

export const BaseMap = L.Layer.extend({
  initialize(theme) {
    this.theme = theme;
    this.countries = [];
    this.places = PLACES.map(([name, lon, lat, zoom]) => ({ name, zoom, x: toX(lon), y: toY(lat) }));
  },

  async load(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the base map could not be loaded (${response.status})`);
    const { features } = await response.json();
    this.countries = features.map((feature) => {
      const shape = new Shape(feature.id, feature);
      return { shape, name: feature.properties.name, anchor: anchorOf(shape) };
    });
    this.redraw();
  },

  onAdd(map) {
    const make = (pane, zIndex) => {
      map.createPane(pane).style.zIndex = zIndex;
      return L.DomUtil.create("canvas", "base-canvas leaflet-zoom-animated", map.getPane(pane));
    };
    this._canvases = { ground: make("base", 150), names: make("names", 170) };
    map.on("moveend resize viewreset", this.redraw, this);
    map.on("zoom", this._zoomTo, this);
    map.on("zoomanim", this._zoomTo, this);
    this.redraw();
  },

  getAttribution: () => "Natural Earth",

  /** Canvases larger than the map, so that dragging shows no edge. */
  redraw() {
    const map = this._map;
    if (!map) return;
    const size = map.getSize();
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    const pad = size.multiplyBy(MARGIN).round();
    const [width, height] = [size.x + 2 * pad.x, size.y + 2 * pad.y];
    this._corner = map.containerPointToLatLng(pad.multiplyBy(-1));
    this._zoom = map.getZoom();
    for (const canvas of Object.values(this._canvases)) {
      Object.assign(canvas, { width: width * ratio, height: height * ratio });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
      L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint(pad.multiplyBy(-1)));
    }
    const origin = map.getPixelBounds().min.subtract(pad);
    this._paint({ size: worldSize(this._zoom), left: origin.x, top: origin.y, width, height, ratio, zoom: this._zoom });
  },

  _zoomTo(event) {
    const map = this._map;
    const [zoom, center] = [event.zoom ?? map.getZoom(), event.center ?? map.getCenter()];
    const corner = map._latLngToNewLayerPoint(this._corner, zoom, center);
    for (const canvas of Object.values(this._canvases)) L.DomUtil.setTransform(canvas, corner, map.getZoomScale(zoom, this._zoom));
  },

  _paint(view) {
    const context = this._canvases.ground.getContext("2d");
    const colours = this.theme.colours;
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    context.fillStyle = colours.ocean;
    context.fillRect(0, 0, view.width, view.height);
    for (const { shape } of this.countries) this._country(context, shape, view, colours);
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    this._graticule(context, view, colours);
    const names = this._canvases.names.getContext("2d");
    names.clearRect(0, 0, names.canvas.width, names.canvas.height);
    for (const { shape } of this.countries) this._outline(names, shape, view, colours);
    names.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    this._names(names, view, colours);
  },

  _country(context, shape, view, colours) {
    eachCopy(context, shape, view, () => {
      context.fillStyle = colours.land;
      context.fill(shape.path, "evenodd");
    });
  },

  /** Above the imagery, so that one sees where it is. */
  _outline(context, shape, view, colours) {
    eachCopy(context, shape, view, (scale) => {
      context.strokeStyle = colours.border;
      context.lineWidth = 1 / scale;
      context.lineJoin = "round";
      context.stroke(shape.path);
    });
  },

  _graticule(context, view, colours) {
    const [, step] = GRATICULE.find(([zoom]) => view.zoom >= zoom);
    context.strokeStyle = colours.graticule;
    context.lineWidth = 1;
    context.beginPath();
    const west = (view.left / view.size) * 360 - 180;
    const east = ((view.left + view.width) / view.size) * 360 - 180;
    for (let lon = Math.ceil(west / step) * step; lon <= east; lon += step) {
      const x = Math.round(toX(lon) * view.size - view.left) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, view.height);
    }
    for (let lat = -80; lat <= 80; lat += step) {
      const y = Math.round(toY(lat) * view.size - view.top) + 0.5;
      if (y < 0 || y > view.height) continue;
      context.moveTo(0, y);
      context.lineTo(view.width, y);
    }
    context.stroke();
  },

  _names(context, view, colours) {
    const taken = [];
    const write = (text, x, y, dx) => {
      const width = context.measureText(text).width;
      const box = dx ? [x - 4, y - 8, x + dx + width, y + 8] : [x - width / 2 - 7, y - 10, x + width / 2 + 7, y + 10];
      if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) return false;
      taken.push(box);
      context.strokeText(text, x + dx, y);
      context.fillText(text, x + dx, y);
      return true;
    };
    Object.assign(context, { lineWidth: 3, lineJoin: "round", strokeStyle: colours.halo, textBaseline: "middle" });
    this._cityNames(context, view, colours, write);
    this._countryNames(context, view, colours, write);
  },

  _countryNames(context, view, colours, write) {
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillStyle = colours.country;
    if ("letterSpacing" in context) context.letterSpacing = "1.6px";
    for (const { name, anchor } of this.countries) {
      const text = name.toUpperCase();
      if (anchor.width * view.size < text.length * 9.5) continue;
      for (const x of copies(anchor.x, view)) write(text, x, anchor.y * view.size - view.top, 0);
    }
    if ("letterSpacing" in context) context.letterSpacing = "0px";
  },

  _cityNames(context, view, colours, write) {
    context.font = "500 11px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillStyle = colours.place;
    for (const { name, zoom, x, y } of this.places) {
      if (view.zoom < zoom) continue;
      const top = y * view.size - view.top;
      for (const left of copies(x, view)) if (write(name, left, top, 7)) this._dot(context, left, top);
    }
  },

  _dot(context, x, y) {
    context.beginPath();
    context.arc(x, y, 2, 0, 2 * Math.PI);
    context.fill();
  },
});

/** With the context in the shape's own units, for each copy of the world that may be in view. */
function eachCopy(context, shape, view, draw) {
  const [left, top] = shape.box;
  const scale = view.size / (1 << 20);
  for (let turn = -1; turn <= 1; turn += 1) {
    const x = (left + turn) * view.size - view.left;
    context.setTransform(view.ratio * scale, 0, 0, view.ratio * scale, view.ratio * x, view.ratio * (top * view.size - view.top));
    draw(scale);
  }
}

function copies(x, view) {
  return [-1, 0, 1].map((turn) => (x + turn) * view.size - view.left).filter((left) => left > -100 && left < view.width + 100);
}
