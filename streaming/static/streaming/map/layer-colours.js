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

/** By the names of layers, which may be that of a property of all objects (`constructor`). */
function remembered() {
  try {
    const known = Object.entries(JSON.parse(localStorage.getItem(STORED)) ?? {});
    return new Map(known.filter(([, colour]) => Number.isInteger(colour) && colour >= 0 && colour < PLAIN_COLOURS));
  } catch {
    return new Map();
  }
}

export class LayerColours {
  #stored = remembered();
  /** By the names of the layers that the page has. */
  #given = new Map();

  /** @param {string} name @returns {number} */
  of(name) {
    if (!this.#given.has(name)) this.#given.set(name, this.#stored.get(name) ?? this.#free(hashOf(name)));
    if (!this.#stored.has(name)) {
      this.#stored.set(name, this.#given.get(name));
      localStorage.setItem(STORED, JSON.stringify(Object.fromEntries(this.#stored)));
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
