/** The vector tiles of the base map: each is fetched once, and its shapes are kept as paths in units of the tile. */
import { layersOf } from "./vector-painter.js";

/** Of 512 pixels; a map that is zoomed further shows parts of these, larger and as sharp. */
export const LAST_ZOOM = 6;
const KEPT = 200;

/** @typedef {Record<string, {path: Path2D, extent: number}>} Paths by the name of the layer */

function pathsOf(bytes) {
  return Object.fromEntries(
    layersOf(bytes).map((layer) => {
      const path = new Path2D();
      for (let place = 0; place < layer.length; place += 1) {
        const feature = layer.feature(place);
        for (const points of feature.loadGeometry()) {
          points.forEach(({ x, y }, at) => path[at ? "lineTo" : "moveTo"](x, y));
          if (feature.type === 3) path.closePath();
        }
      }
      return [layer.name, { path, extent: layer.extent }];
    }),
  );
}

export class BaseTiles extends EventTarget {
  #template;
  /** @type {Map<string, Paths | null>} null: it is on its way, or could not be had */
  #held = new Map();

  /** @param {string} template of their addresses. Event: `tile`, when one has come */
  constructor(template) {
    super();
    this.#template = template;
  }

  /** A tile, or the smallest part of the world around it that is there meanwhile. @returns {{z: number, x: number, y: number, paths: Paths} | null} */
  find(z, x, y) {
    if (!this.#held.has(`${z}/${x}/${y}`)) this.#fetch(z, x, y);
    for (let up = 0; up <= z; up += 1) {
      const at = { z: z - up, x: x >> up, y: y >> up };
      const paths = this.#held.get(`${at.z}/${at.x}/${at.y}`);
      if (paths) return { ...at, paths };
    }
    return null;
  }

  async #fetch(z, x, y) {
    const key = `${z}/${x}/${y}`;
    this.#held.set(key, null);
    try {
      const response = await fetch(this.#template.replace("{z}", z).replace("{x}", x).replace("{y}", y));
      if (!response.ok) return; // what is under the map is no reason to bother anybody
      this.#held.set(key, pathsOf(new Uint8Array(await response.arrayBuffer())));
      for (const oldest of this.#held.keys()) {
        if (this.#held.size <= KEPT) break;
        this.#held.delete(oldest);
      }
      this.dispatchEvent(new Event("tile"));
    } catch {
      this.#held.delete(key); // offline: it is asked for with the next move
    }
  }
}
