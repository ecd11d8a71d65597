/**
 * What the layers of the page draw: a scene of features for each and, of large ones, one of cells. What arrives is applied in frames, if it is
 * much. Events: `legend` (the scene whose colours changed), `applied` ({layer, changes}).
 */
import { CellScene } from "./cell-scene.js";
import { isCell } from "./cells.js";
import { FrameWork } from "./frame-work.js";
import { LayerColours } from "./layer-colours.js";
import { LayerScene } from "./layer-scene.js";

const L = globalThis.L;
/** Changes that are applied as soon as they come, and in one piece. */
const AT_ONCE = 150;

/** As layers are listed. */
export function inOrder({ layer: one }, { layer: other }) {
  return (one.order ?? 0) - (other.order ?? 0) || (one.name < other.name ? -1 : 1);
}

export class LayerScenes extends EventTarget {
  /** @type {Map<string, LayerScene>} */
  byName = new Map();
  #cells = new Map();
  #colours = new LayerColours();
  #work = new FrameWork((piece) => this.#apply(piece));
  #live;
  #theme;
  #calm;

  /** @param {import("./live.js").Live} live @param {import("./theme.js").Theme} theme @param {MediaQueryList} calm */
  constructor(live, theme, calm) {
    super();
    this.#live = live;
    this.#theme = theme;
    this.#calm = calm;
    live.addEventListener("changes", ({ detail }) => this.#take(detail));
  }

  add(layer) {
    const scene = new LayerScene(layer, this.#theme.name, this.#colours.of(layer.name));
    this.byName.set(layer.name, scene);
    return scene;
  }

  remove(name) {
    this.clear(name);
    this.byName.delete(name);
  }

  /** Forget what there is to draw of a layer. */
  clear(name) {
    this.byName.get(name).clear();
    this.#cells.delete(name);
  }

  /** What is drawn of these layers, the undermost first: the last ones of the list, and cells below features. @param {Set<string>} names */
  visible(names) {
    const listed = [...this.byName.values()].filter(({ layer }) => names.has(layer.name)).sort(inOrder);
    const found = listed.reverse().map(({ layer }) => layer.name);
    return found.flatMap((name) => [this.#cells.get(name), this.byName.get(name)]).filter(Boolean);
  }

  /** Latitudes and longitudes, or null if there is nothing. */
  boundsOf(name) {
    const { tracks, shapes } = this.byName.get(name);
    const points = [...tracks.values()].map(({ feature }) => [feature.geometry.coordinates[1], feature.geometry.coordinates[0]]);
    const corners = [...shapes.values(), ...(this.#cells.get(name)?.shapes.values() ?? [])].flatMap((shape) => shape.corners);
    return points.length + corners.length ? L.latLngBounds([...points, ...corners]) : null;
  }

  #take({ layer, changes }) {
    const arrives = this.#live.isComplete(layer);
    const subscription = this.#live.subscriptions[layer];
    if (changes.length <= AT_ONCE && this.#work.idle) return this.#apply({ layer, changes, arrives, subscription });
    const pieces = [];
    for (let from = 0; from < changes.length; from += AT_ONCE) {
      pieces.push({ layer, changes: changes.slice(from, from + AT_ONCE), arrives, subscription });
    }
    this.#work.add(pieces);
  }

  /** Unless the layer was switched off, or off and on, since they came. */
  #apply({ layer, changes, arrives, subscription }) {
    const scene = this.byName.get(layer);
    if (!scene || this.#live.subscriptions[layer] !== subscription) return;
    const [cells, features] = [changes.filter(({ feature }) => isCell(feature)), changes.filter(({ feature }) => !isCell(feature))];
    const now = performance.now();
    if (cells.length > 0 && this.#cellsOf(scene).apply(cells, now, false)) this.#emit("legend", this.#cells.get(layer));
    if (features.length > 0 && scene.apply(features, now, !this.#calm.matches, arrives)) this.#emit("legend", scene);
    this.#emit("applied", { layer, changes });
  }

  #cellsOf({ layer }) {
    if (!this.#cells.has(layer.name)) this.#cells.set(layer.name, new CellScene(layer, this.#theme.name));
    return this.#cells.get(layer.name);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
