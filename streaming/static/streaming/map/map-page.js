/**
 * What the parts of GeoStream may use of the map page. Each part that adds something has a module with `extend(page, config)`, which is
 * called once with this page; what it does wrong is a notice, and the map goes on.
 */
import { isCell } from "./cells.js";
import { element } from "./dom.js";
import { inView } from "./in-view.js";

export class MapPage {
  #page;

  /** @param {{map, client, live, overlay, menu, layerWatch, wanted: Set<string>, panel: HTMLElement, viewport: () => number[], switchOn: (name: string) => void, notice: (text: string) => void}} page */
  constructor(page) {
    this.#page = page;
  }

  /** Load the parts' modules. @param {{module: string, config: any}[]} parts */
  async load(parts) {
    for (const { module, config } of parts) {
      try {
        const { extend } = await import(module);
        await extend(this, config);
      } catch (error) {
        console.error(error);
        this.notice(error.message);
      }
    }
  }

  /** An action in the menus of layers. @param {import("./layer-menu.js").LayerAction} action */
  addLayerAction(action) {
    this.#page.menu.add(action);
  }

  /** A section at the end of the panel. @returns {HTMLElement} where its content goes */
  addSection(id, title) {
    const section = element("section", { id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title));
    this.#page.panel.append(section);
    return section;
  }

  /** West, south, east and north in degrees; west is beyond east where the map shows the antimeridian. */
  get viewport() {
    return this.#page.viewport();
  }

  get zoom() {
    return this.#page.map.getZoom();
  }

  /** The filter that is set, as CQL2, or null. */
  get filter() {
    return this.#page.live.conditions.filter;
  }

  /** The features of a layer that the map shows: GeoJSON. None of a layer that is switched off, or shown as cells. */
  featuresInView(name) {
    const held = this.#page.live.subscriptions[name]?.features.values() ?? [];
    return [...held].filter((feature) => feature.geometry && !isCell(feature) && inView(feature.geometry, this.viewport));
  }

  /** The feature whose card is open, if it is of this layer. */
  selectedFeature(name) {
    const target = this.#page.overlay.selected;
    const feature = target?.scene.layer.name === name ? target.drawable.feature : null;
    return feature && !isCell(feature) ? feature : null;
  }

  hasLayer(name) {
    return this.#page.hasLayer(name);
  }

  /**
   * Show a layer, also one that was not there when the page was loaded: as soon as it is.
   * @param {string} name
   * @param {{exists?: boolean, filtered?: boolean}} about exists: it is known to be there; filtered: whether the map's filter is for it, too
   * @returns {Promise<boolean>} whether it is there
   */
  async showLayer(name, { exists = false, filtered = true } = {}) {
    const { wanted, live, layerWatch } = this.#page;
    wanted.add(name);
    if (!filtered) live.leaveUnfiltered(name);
    if (!this.hasLayer(name) && !(await (exists ? layerWatch.fetch(name) : layerWatch.find(name)))) return false;
    this.#page.switchOn(name);
    return true;
  }

  /** Be told of every event that the map gets: {type, payload, timestamp}. */
  onEvent(handler) {
    this.#page.live.addEventListener("event", ({ detail }) => handler(detail));
  }

  /** Tell the user what is wrong. */
  notice(text) {
    this.#page.notice(text);
  }
}
