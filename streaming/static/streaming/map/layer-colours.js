/**
 * The plain colours of layers, as numbers: by their names, and as far apart as there are colours. A browser remembers them, so that a layer
 * that comes later changes nobody's.
 */
import { PLAIN_COLOURS } from "./palette.js";

const STORED = "geostream-colours";

function hashOf(name) {
  let hash = 0;
  for (const character of name) hash = (Math.imul(hash, 31) + character.codePointAt(0)) >>> 0;
  return ((hash ^ (hash >>> 15)) >>> 0) % PLAIN_COLOURS;
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
}

export class LayerColours {
  #stored = remembered();
  /** By the names of the layers that the page has. */
  #given = new Map();

  /** @param {string} name @returns {number} */
  of(name) {
    if (!this.#given.has(name)) this.#given.set(name, this.#stored[name] ?? this.#free(hashOf(name)));
    if (this.#stored[name] === undefined) {
      this.#stored[name] = this.#given.get(name);
      localStorage.setItem(STORED, JSON.stringify(this.#stored));
    }
    return this.#given.get(name);
  }

  /** The colour that fewest layers have, beginning with this one. */
  #free(first) {
    const uses = Array.from({ length: PLAIN_COLOURS }, () => 0);
    for (const colour of this.#given.values()) uses[colour] += 1;
    const order = Array.from({ length: PLAIN_COLOURS }, (_, step) => (first + step) % PLAIN_COLOURS);
    return order.reduce((best, colour) => (uses[colour] < uses[best] ? colour : best));
  }
}
