/**
 * The Leaflet layer that draws all features: points on one canvas, redrawn once per animation frame while anything moves and not at all
 * otherwise; lines and polygons, and cells, on others below it, which are larger than the map: these are redrawn only when they change or the
 * map has come to rest, and move with it meanwhile. Measures what a frame costs.
 */
import { inView } from "./in-view.js";
import { Painter } from "./painter.js";
import { worldSize } from "./mercator.js";

const L = globalThis.L;
const FRAMES_AVERAGED = 60;
/** How far lines, polygons and cells are drawn beyond the edge, as a share of the map's size. */
const MARGIN = 0.3;

export const FeatureOverlay = L.Layer.extend({
  initialize(theme, calm) {
    this.theme = theme;
    this.scenes = [];
    this.selected = null;
    this.hovered = null;
    this.painter = new Painter(theme.colours, calm);
    this.stats = { fps: 0, frameMs: 0, worstMs: 0, visible: 0 };
    this._times = [];
    this._scheduled = null;
    /** The canvases that are to be drawn anew in the next frame. */
    this._stale = new Set();
  },

  onAdd(map) {
    map.createPane("features").style.zIndex = 450;
    map.createPane("cells").style.zIndex = 168; // below the names of places
    const make = (pane) => L.DomUtil.create("canvas", "feature-canvas leaflet-zoom-animated", map.getPane(pane));
    this._canvases = { cells: make("cells"), shapes: make("features"), points: make("features") };
    map.on("move", this.redrawPoints, this);
    map.on("zoom resize viewreset moveend", this.redraw, this);
    map.on("zoomanim", this._zoomTo, this);
    map.on("zoomend", this._zoomed, this);
    this._resize();
    map.on("resize", this._resize, this);
    this.redraw();
  },

  setTheme() {
    this.painter.setTheme(this.theme.colours);
    for (const scene of this.scenes) scene.setTheme(this.theme.name);
    this.redraw();
  },

  /** Draw everything in the next animation frame. */
  redraw() {
    this._draw("cells", "shapes", "points");
  },

  /** Draw in the next animation frame; lines and polygons are still right. */
  redrawPoints() {
    this._draw("points");
  },

  /** Draw the lines, polygons and cells that look different now. */
  redrawStale() {
    const stale = this.scenes.filter((scene) => scene.stale).map(canvasOf);
    if (stale.length > 0) this._draw(...stale);
  },

  _draw(...canvases) {
    for (const each of canvases) this._stale.add(each);
    this._scheduled ??= requestAnimationFrame((now) => this._frame(now));
  },

  /** The nearest point feature within `reach` pixels of a place on the map, else the shape it lies on. */
  pick({ x, y }, reach) {
    let best = null;
    let nearest = reach;
    for (const spot of this.painter.drawn) {
      const distance = Math.hypot(spot.x - x, spot.y - y);
      if (distance < nearest) [nearest, best] = [distance, spot];
    }
    return best ? { scene: best.scene, drawable: best.track } : this._pickShape(x, y);
  },

  /** Everything that is in view, each once. @returns {{scene: object, drawable: object}[]} */
  drawnTargets() {
    const points = new Map(this.painter.drawn.map(({ scene, track }) => [track, { scene, drawable: track }]));
    const { x, y } = this._map.getSize();
    const [{ lng: west, lat: north }, { lng: east, lat: south }] = [[0, 0], [x, y]].map((corner) => this._map.containerPointToLatLng(corner));
    const shapes = this.scenes.flatMap((scene) => [...scene.shapes.values()].map((drawable) => ({ scene, drawable })));
    return [...points.values(), ...shapes.filter(({ drawable: { feature } }) => inView(feature.geometry, [west, south, east, north]))];
  },

  /** Where a picked feature is on the map, in container pixels. */
  whereIs({ drawable, scene }) {
    return this.painter.drawn.find((spot) => spot.track === drawable && spot.scene === scene) ?? null;
  },

  _pickShape(x, y) {
    const view = this._view(0);
    const place = [((((x + view.left) / view.size) % 1) + 1) % 1, (y + view.top) / view.size];
    for (const scene of [...this.scenes].reverse()) {
      const shape = [...scene.shapes.values()].reverse().find((candidate) => candidate.contains(...place, 6 / view.size));
      if (shape) return { scene, drawable: shape };
    }
    return null;
  },

  _view(now) {
    const map = this._map;
    const { x: width, y: height } = map.getSize();
    const { x: left, y: top } = map.getPixelBounds().min;
    const zoom = map.getZoom();
    return { size: worldSize(zoom), left, top, width, height, zoom, now, ratio: this._ratio };
  },

  _frame(now) {
    this._scheduled = null;
    if (this._zooming) return;
    const started = performance.now();
    const view = this._view(performance.now());
    const stale = this._stale;
    this._stale = new Set();
    for (const name of ["cells", "shapes"]) if (stale.has(name)) this._paintShapes(name, view);
    const again = stale.has("points") && this._paintPoints(view);
    this._measure(now, performance.now() - started);
    this.fire("frame");
    if (again) this.redrawPoints();
  },

  /** An empty canvas that lies exactly over the map and what is around it, however far that was dragged. */
  _clean(canvas, pad = L.point(0, 0)) {
    const corner = pad.multiplyBy(-1);
    L.DomUtil.setPosition(canvas, this._map.containerPointToLayerPoint(corner));
    canvas.corner = this._map.containerPointToLatLng(corner);
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  },

  _paintShapes(name, view) {
    const pad = this._pad;
    view = { ...view, left: view.left - pad.x, top: view.top - pad.y, width: view.width + 2 * pad.x, height: view.height + 2 * pad.y };
    const context = this._clean(this._canvases[name], pad);
    for (const scene of this.scenes) {
      if (canvasOf(scene) !== name) continue;
      scene.stale = false;
      for (const shape of scene.shapes.values()) shape.paint(context, view, scene.colours[shape.step], scene.opacity);
    }
  },

  _paintPoints(view) {
    const context = this._clean(this._canvases.points);
    this.painter.begin(view);
    let again = false;
    for (const scene of this.scenes) again = this.painter.paint(context, scene, view) || again;
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    for (const target of [this.hovered, this.selected]) if (target) this._ring(context, target);
    return again;
  },

  _ring(context, target) {
    const spot = this.whereIs(target);
    if (!spot) return;
    context.strokeStyle = this.theme.colours.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(spot.x, spot.y, 16, 0, 2 * Math.PI);
    context.stroke();
  },

  _measure(now, cost) {
    const gap = now - (this._last ?? now);
    this._last = now;
    this._times.push([cost, gap]);
    if (this._times.length < FRAMES_AVERAGED) return;
    const costs = this._times.map(([ms]) => ms).sort((a, b) => a - b);
    const gaps = this._times.map(([, ms]) => ms).filter((ms) => ms > 0 && ms < 250);
    this.stats.frameMs = costs.reduce((sum, ms) => sum + ms, 0) / costs.length;
    this.stats.worstMs = costs.at(-1);
    this.stats.fps = gaps.length ? 1000 / (gaps.reduce((sum, ms) => sum + ms, 0) / gaps.length) : 0;
    this.stats.visible = this.painter.drawn.length;
    this._times = [];
    this.fire("measured");
  },

  _resize() {
    const { x, y } = this._map.getSize();
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    if (ratio !== this._ratio) this.painter.setTheme(this.theme.colours);
    this._ratio = ratio;
    this._pad = L.point(x, y).multiplyBy(MARGIN).round();
    for (const [name, canvas] of Object.entries(this._canvases)) {
      const [width, height] = name === "points" ? [x, y] : [x + 2 * this._pad.x, y + 2 * this._pad.y];
      Object.assign(canvas, { width: width * ratio, height: height * ratio });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    this.redraw();
  },

  /** During the zoom animation the finished picture is scaled with the map. */
  _zoomTo({ center, zoom }) {
    this._zooming = true;
    const map = this._map;
    const scale = map.getZoomScale(zoom);
    for (const canvas of Object.values(this._canvases)) {
      const corner = canvas.corner ?? map.containerPointToLatLng([0, 0]);
      L.DomUtil.setTransform(canvas, map._latLngToNewLayerPoint(corner, zoom, center), scale);
    }
  },

  _zoomed() {
    this._zooming = false;
    this.redraw();
  },
});

/** Which canvas lines and polygons of a scene are on. */
function canvasOf(scene) {
  return scene.opacity === undefined ? "shapes" : "cells";
}
