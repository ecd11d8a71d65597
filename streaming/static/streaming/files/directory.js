/**
 * What is in one directory: pages of a list, kept right by the announcements that come meanwhile. Both are numbered, so it does not matter
 * in which order they arrive: of each name the newest that is known counts.
 *
 * @typedef {{path: string, size: number, hash: string, modified: string, is_directory: boolean}} Metadata
 */
import { isBelow, nameOf, parentOf } from "./paths.js";

export class Directory {
  /** By name: the number of what is known, and the metadata, or null for what is gone. @type {Map<string, {seq: number, entry: Metadata | null}>} */
  #known = new Map();

  /** @param {string} path "" for the whole folder */
  constructor(path) {
    this.path = path;
  }

  /** @returns {Metadata[]} */
  get entries() {
    return [...this.#known.values()].map(({ entry }) => entry).filter((entry) => entry !== null);
  }

  /** @returns {Metadata | null} */
  get(name) {
    return this.#known.get(name)?.entry ?? null;
  }

  /** A page of the list, as of a number. @param {Metadata[]} files */
  add(files, seq) {
    for (const entry of files) this.#set(nameOf(entry.path), seq, entry);
  }

  /**
   * An announcement. Returns what it has changed here, by name: an entry anew, one that is gone, and directories that may have gone with the
   * last thing in them, of which nothing is announced.
   * @returns {{changed: string | null, gone: string | null, doubtful: string | null}}
   */
  apply(operation, seq) {
    const [[kind, { metadata, path, from, to }]] = Object.entries(operation);
    const outcome = { changed: null, gone: null, doubtful: null };
    const away = kind === "Delete" ? path : from;
    const here = metadata ?? (to ? { path: to } : null);
    if (away !== undefined) this.#leave(away, seq, outcome);
    if (kind !== "Delete" && here?.modified) this.#arrive(here, seq, outcome);
    return outcome;
  }

  /** It is known from elsewhere that there is no such directory any more. */
  forget(name) {
    const known = this.#known.get(name);
    if (known?.entry?.is_directory) this.#known.delete(name);
  }

  #arrive(metadata, seq, outcome) {
    if (!this.#holds(metadata.path)) return;
    const name = this.#nameOf(metadata.path);
    if (parentOf(metadata.path) === this.path) {
      if (this.#set(name, seq, metadata)) outcome.changed = name;
    } else if (!this.get(name)?.is_directory) {
      const entry = { path: this.path ? `${this.path}/${name}` : name, size: 0, hash: "", modified: metadata.modified, is_directory: true };
      if (this.#set(name, seq, entry)) outcome.changed = name;
    }
  }

  #leave(path, seq, outcome) {
    if (!this.#holds(path)) return;
    const name = this.#nameOf(path);
    if (parentOf(path) !== this.path) outcome.doubtful = name;
    else if (this.#set(name, seq, null)) outcome.gone = name;
  }

  #holds(path) {
    return path !== this.path && isBelow(path, this.path);
  }

  #nameOf(path) {
    return path.slice(this.path ? this.path.length + 1 : 0).split("/", 1)[0];
  }

  #set(name, seq, entry) {
    if (seq < (this.#known.get(name)?.seq ?? -1)) return false;
    this.#known.set(name, { seq, entry });
    return true;
  }
}
