/**
 * What becomes of the files of a directory: layers and tilesets. The server tells it as it happens; it is asked for again when files have
 * changed, and while something is being read, in case the telling was missed. Event: `change`.
 */
import { parentOf } from "./paths.js";

const MOST = 1000;
const SOON = 400;
const AGAIN = 2_000;
const ACTIVE = new Set(["queued", "running"]);

export class Ingests extends EventTarget {
  /** By path. @type {Map<string, object>} */
  all = new Map();
  #api;
  #path = "";
  #timer = null;
  #turn = 0;

  /** @param {import("./api.js").FilesApi} api */
  constructor(api) {
    super();
    this.#api = api;
  }

  open(path) {
    this.#path = path;
    this.all = new Map();
    return this.#load();
  }

  /** What the server tells of one file. */
  take(ingest) {
    if (parentOf(ingest.path) !== this.#path) return;
    this.all.set(ingest.path, this.#newer(ingest));
    this.dispatchEvent(new Event("change"));
  }

  /** Something has changed: ask soon, once for all that changes until then. */
  stale(after = SOON) {
    this.#timer ??= setTimeout(() => this.#load(), after);
  }

  async #load() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const turn = ++this.#turn;
    const answer = await this.#api.ingests(this.#path, MOST).catch(() => null); // the files are shown all the same
    if (turn !== this.#turn || answer === null) return;
    this.all = new Map(answer.ingests.map((ingest) => [ingest.path, this.#newer(ingest)]));
    this.dispatchEvent(new Event("change"));
    if (answer.ingests.some(({ status }) => ACTIVE.has(status))) this.stale(AGAIN);
  }

  /** An answer may be older than what was told meanwhile. */
  #newer(ingest) {
    const known = this.all.get(ingest.path);
    return known && Date.parse(known.updated) > Date.parse(ingest.updated) ? known : ingest;
  }
}
