/**
 * The base map, which needs no network but the server: land, lakes, provinces and a graticule on a canvas behind everything; borders and
 * names on another, above the imagery and below the features. A server may name raster tiles of its own instead.
 */
import { BaseNames } from "./base-names.js";
import { BaseTiles, LAST_ZOOM } from "./base-tiles.js";
import { toX, toY, worldSize } from "./mercator.js";

const L = globalThis.L;
const MARGIN = 0.25;
const GRATICULE = [
  [7, 1],
  [5, 5],
  [3.5, 10],
  [0, 30],
];
/** Further out they are a thicket. */
const PROVINCES_FROM = 5.5;
const PANES = { ground: ["base", 150], names: ["names", 170] };

export const BaseMap = L.Layer.extend({
  /** @param {{colours: object}} theme @param {{vector: string | null, names: string, raster: string | null, attribution: string}} source */
  initialize(theme, source) {
    this.theme = theme;
    this.source = source;
    this.names = new BaseNames();
    this.tiles = source.vector ? new BaseTiles(source.vector) : null;
    this._soon = null;
  },

  onAdd(map) {
    this._canvases = {};
    for (const [name, [pane, zIndex]] of Object.entries(PANES)) {
      map.createPane(pane).style.zIndex = zIndex;
      this._canvases[name] = L.DomUtil.create("canvas", "base-canvas leaflet-zoom-animated", map.getPane(pane));
    }
    if (this.source.raster) L.tileLayer(this.source.raster, { pane: PANES.ground[0], maxNativeZoom: 19 }).addTo(map);
    else this.names.load(this.source.names).then(() => this.redraw()).catch(() => {}); // a map without names still shows where things are
    this.tiles?.addEventListener("tile", () => this._redrawSoon());
    map.on("moveend resize viewreset", this.redraw, this);
    map.on("zoom zoomanim", this._zoomTo, this);
    this.redraw();
  },

  getAttribution() {
    return this.source.attribution;
  },

  _redrawSoon() {
    this._soon ??= requestAnimationFrame(() => this.redraw());
  },

  /** Canvases larger than the map, so that dragging shows no edge. */
  redraw() {
    if (this._soon) cancelAnimationFrame(this._soon);
    this._soon = null;
    const map = this._map;
    if (!map || !map._loaded || map._animatingZoom) return;
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
    if (this.source.raster) return;
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
    const [ground, names] = Object.values(this._canvases).map((canvas) => canvas.getContext("2d"));
    const { colours } = this.theme;
    inPixels(ground, view);
    ground.fillStyle = colours.ocean;
    ground.fillRect(0, 0, view.width, view.height);
    inPixels(names, view);
    for (const tile of this.tiles ? tilesOf(view) : []) {
      const found = this.tiles.find(tile.z, tile.x, tile.y);
      if (!found) continue;
      within(ground, tile, found, view, (pixel) => paintGround(ground, found.paths, colours, view.zoom, pixel));
      within(names, tile, found, view, (pixel) => stroke(names, found.paths.borders, colours.border, 1.1 * pixel));
    }
    inPixels(ground, view);
    this._graticule(ground, view, colours);
    inPixels(names, view);
    this.names.paint(names, view, colours);
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
});

function inPixels(context, { ratio }) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
}

/** The tiles that a view shows; `column` counts on beyond the edge of the world. */
function* tilesOf(view) {
  const z = Math.max(0, Math.min(LAST_ZOOM, Math.round(view.zoom) - 1));
  const count = 2 ** z;
  const side = view.size / count;
  const last = Math.min(count - 1, Math.floor((view.top + view.height) / side));
  for (let y = Math.max(0, Math.floor(view.top / side)); y <= last; y += 1) {
    for (let column = Math.floor(view.left / side); column * side < view.left + view.width; column += 1) {
      yield { z, x: ((column % count) + count) % count, y, column, count };
    }
  }
}

/** Draw what was found for a tile where the tile is, in the units of what was found; whole pixels, so that no seam shows. */
function within(context, { z, x, y, column, count }, found, view, draw) {
  const [left, right] = [column, column + 1].map((at) => Math.round(((at / count) * view.size - view.left) * view.ratio));
  const [top, bottom] = [y, y + 1].map((at) => Math.round(((at / count) * view.size - view.top) * view.ratio));
  const shift = column - x; // of the copy of the world, in tiles
  const parts = 2 ** found.z;
  const { extent } = Object.values(found.paths)[0] ?? { extent: 4096 };
  const scale = (view.size * view.ratio) / parts / extent;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  const world = view.size * view.ratio;
  context.setTransform(
    scale,
    0,
    0,
    scale,
    (found.x / parts + shift / 2 ** z) * world - view.left * view.ratio,
    (found.y / parts) * world - view.top * view.ratio,
  );
  draw(view.ratio / scale);
  context.restore();
}

/** @param {number} pixel how many units a pixel of the page is */
function paintGround(context, { land, lakes, provinces }, colours, zoom, pixel) {
  if (land) {
    context.fillStyle = colours.land;
    context.fill(land.path, "evenodd");
    stroke(context, land, colours.coast, 0.9 * pixel);
  }
  if (provinces && zoom >= PROVINCES_FROM) stroke(context, provinces, colours.province, 0.8 * pixel);
  if (!lakes) return;
  context.fillStyle = colours.ocean;
  context.fill(lakes.path, "evenodd");
  stroke(context, lakes, colours.coast, 0.8 * pixel);
}

function stroke(context, layer, colour, width) {
  if (!layer) return;
  Object.assign(context, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
  context.stroke(layer.path);
}
