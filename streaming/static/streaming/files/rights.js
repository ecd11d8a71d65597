/** What the user may do, by directory. The server decides; this is so that nothing is offered that it would refuse. */
import { isBelow } from "./paths.js";

export class Rights {
  #grants;

  /** @param {Record<string, string>} [rights] a directory, or "" for the whole folder, and words such as `list read` */
  constructor(rights = {}) {
    this.#grants = Object.entries(rights).map(([top, words]) => [top, new Set(words.split(" "))]);
  }

  allows(right, path) {
    return this.#grants.some(([top, rights]) => rights.has(right) && isBelow(path, top));
  }

  allowsSome(right) {
    return this.#grants.some(([, rights]) => rights.has(right));
  }

  /** Whether it may have another name or place: what is moved away is deleted there. */
  allowsMove(path) {
    return this.allows("read", path) && this.allows("delete", path) && this.allowsSome("write");
  }

  /** The directories in which this may be done. */
  tops(right) {
    return this.#grants.filter(([, rights]) => rights.has(right)).map(([top]) => top);
  }
}
