/**
 * Layers with more features than a map can show: of these only what is in view is received, and where that is still too much, cells with the
 * number of features in each. Zoomed in, cells dissolve into features, and zoomed out, these become cells again.
 */

import { countOf } from "./cells.js";

/** Zoomed out by less than this share of what would be too much, features stay features: no flicker at the bound. */
const SLACK = 1.5;
/** How far one zooms out until H3 cells are of the next larger kind. */
const LARGER = 1.41;
/** Zoomed in by so much more than the cells are for, each would be wider than the map: what is in view is shown instead. */
const TOO_LARGE = 6;
/** How long finer cells are not asked for, in milliseconds: the layer changes, and so does what the server has room for. */
const REFUSED_FOR = 30_000;

export class LargeLayers {
  #live;
  #bound;
  #view;
  /** @type {Map<string, {cells: boolean, refused: boolean, area: number, finest: number, refusals: number, until: number}>} */
  #layers = new Map();

  /**
   * @param {import("./live.js").Live} live @param {number} bound how many features of a layer are shown as such
   * @param {() => {bbox: number[], zoom: number}} view what the map shows
   */
  constructor(live, bound, view) {
    this.#live = live;
    this.#bound = bound;
    this.#view = view;
    live.addEventListener("ready", ({ detail: { layer } }) => this.#settle(layer));
  }

  has(name) {
    return this.#layers.has(name);
  }

  showsCells(name) {
    return this.#layers.get(name)?.cells ?? false;
  }

  /** Show this layer so; also one that is switched on only then. */
  add(name) {
    if (this.has(name)) return;
    this.#layers.set(name, { cells: true, refused: false, area: 0, finest: Infinity, refusals: 0, until: 0 });
    this.#ask(name, true);
  }

  remove(name) {
    this.#layers.delete(name);
    this.#live.narrow(name, null);
  }

  /** The map shows something else. */
  follow() {
    const { bbox } = this.#view();
    for (const [name, state] of this.#layers) {
      const held = this.#live.subscriptions[name]?.features.size ?? 0;
      const expected = state.area > 0 ? (held * areaOf(bbox)) / state.area : 0;
      this.#ask(name, state.cells || (!state.refused && expected > this.#bound * SLACK));
    }
  }

  /**
   * The server makes no such cells: then larger ones, or else features in view, as many as there are.
   * @param {string} name @param {{code: string, conditions?: {aggregate?: {zoom: number}}}} error
   * @returns {boolean} whether that is the answer to the refusal
   */
  refused(name, { code, conditions }) {
    const state = this.#layers.get(name);
    const zoom = conditions?.aggregate?.zoom;
    if (!state || code === "invalid_filter") return false;
    if (code === "too_many_cells" && zoom !== undefined) {
      if (state.cells && zoom <= state.finest) { // else it was asked for before something else was
        this.#tooMany(state, zoom);
        this.#ask(name, true);
      }
    } else if (!state.cells) return false;
    else {
      state.refused = true;
      this.#ask(name, false);
    }
    if (!this.#live.subscriptions[name]) this.#live.switchOn(name);
    return true;
  }

  #tooMany(state, zoom) {
    state.finest = zoom - LARGER * 2 ** state.refusals;
    state.refusals += 1;
    state.until = performance.now() + REFUSED_FOR;
  }

  /** For which zoom cells are asked for; null if there are none that are of use. */
  #zoomOfCells(state) {
    if (performance.now() > state.until) Object.assign(state, { finest: Infinity, refusals: 0 });
    const { bbox, zoom } = this.#view();
    const latitude = Math.min(80, Math.abs(bbox[1] + bbox[3]) / 2);
    const wanted = Math.max(0, zoom - Math.log2(Math.cos((latitude * Math.PI) / 180))); // Mercator makes cells larger away from the equator
    return state.finest < 0 || wanted - state.finest > TOO_LARGE ? null : Math.min(wanted, state.finest);
  }

  /** All that was asked for has come: are there few enough features, or too many? */
  #settle(name) {
    const { features } = this.#live.subscriptions[name] ?? {};
    if (!features) return;
    const state = this.#layers.get(name);
    if (!state) return features.size > this.#bound * SLACK && this.add(name);
    if (state.cells && countOf(features) <= this.#bound) this.#ask(name, false);
    else if (!state.cells && !state.refused && features.size > this.#bound * SLACK && this.#zoomOfCells(state) !== null) this.#ask(name, true);
  }

  #ask(name, cells) {
    const { bbox } = this.#view();
    const state = this.#layers.get(name);
    const zoom = cells ? this.#zoomOfCells(state) : null;
    Object.assign(state, { cells: zoom !== null, area: areaOf(bbox) });
    this.#live.narrow(name, { bbox, aggregate: zoom === null ? null : { by: "h3", zoom, properties: [] } });
  }
}

/** In square degrees. */
function areaOf([west, south, east, north]) {
  return (east < west ? east - west + 360 : east - west) * (north - south);
}
