/**
 * What becomes of the files of a directory: layers and tilesets. Asked for again when something has changed, and while something is being
 * read. Event: `change`.
 */
const MOST = 1000;
const SOON = 400;
const AGAIN = 1_500;
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
    this.all = new Map(answer.ingests.map((ingest) => [ingest.path, ingest]));
    this.dispatchEvent(new Event("change"));
    if (answer.ingests.some(({ status }) => ACTIVE.has(status))) this.stale(AGAIN);
  }
}
