/**
 * The directory that is shown: lists it page by page, and keeps it right while it is open.
 * Events: `change`, `flash` ({name}) for what somebody has just changed, `failed` ({error}) if it cannot be listed.
 */
import { Directory } from "./directory.js";
import { isBelow, join } from "./paths.js";

const PAGE = 2000;
const SETTLE = 400;
const AGAIN = 3_000;
/** What may be over in a moment: no answer, too many requests, a server or a Redis that starts again. */
const mayPass = ({ status }) => !status || status === 429 || status >= 500;

export class FolderView extends EventTarget {
  directory = new Directory("");
  loading = false;
  #api;
  #rights;
  /** What will be the directory as soon as it is listed anew. */
  #coming = null;
  #turn = 0;
  #seq = -1;
  #epoch = null;
  #doubtful = new Set();
  #timer = null;

  /** @param {import("./api.js").FilesApi} api @param {() => import("./rights.js").Rights} rights */
  constructor(api, rights) {
    super();
    this.#api = api;
    this.#rights = rights;
  }

  get path() {
    return this.directory.path;
  }

  /** Show another directory; what has come of it is shown at once. */
  async open(path) {
    this.directory = this.#coming = new Directory(path);
    this.#changed();
    await this.#load();
  }

  /** List the same directory again; what is shown stays until then. */
  async refresh() {
    this.#coming = new Directory(this.path);
    await this.#load();
  }

  /** The server announces changes from a number on: list again if some came before. */
  async follow(seq, epoch) {
    if (this.loading || seq !== this.#seq || epoch !== this.#epoch) await this.refresh();
  }

  apply(operation, seq) {
    if (this.#coming !== this.directory) this.#coming?.apply(operation, seq);
    const outcome = this.directory.apply(operation, seq);
    if (outcome.doubtful) this.#doubt(outcome.doubtful);
    if (outcome.changed) this.dispatchEvent(new CustomEvent("flash", { detail: { name: outcome.changed } }));
    this.#changed();
  }

  async #load() {
    const turn = ++this.#turn;
    const directory = this.#coming;
    this.loading = true;
    let failure = null;
    try {
      if (!directory.path && !this.#rights().allows("list", "")) this.#offerTops(directory);
      else await this.#listAll(directory, turn);
    } catch (error) {
      failure = error;
    }
    if (turn !== this.#turn) return;
    this.loading = false;
    this.#coming = null;
    if (failure === null || failure.status === 404) this.directory = directory; // else what was known stays
    if (failure) this.dispatchEvent(new CustomEvent("failed", { detail: { error: failure } }));
    if (failure && mayPass(failure)) setTimeout(() => turn === this.#turn && this.refresh(), AGAIN);
    this.#changed();
  }

  async #listAll(directory, turn) {
    let cursor = null;
    do {
      const page = await this.#api.list(directory.path, cursor, PAGE);
      if (turn !== this.#turn) return;
      directory.add(page.files, page.seq);
      if (cursor === null) [this.#seq, this.#epoch] = [page.seq, page.epoch];
      cursor = page.cursor;
      if (directory === this.directory) this.#changed();
    } while (cursor !== null);
  }

  /** Who may not list the whole folder is offered the directories that they may. */
  #offerTops(directory) {
    for (const path of this.#rights().tops("list")) {
      const [name] = path.split("/", 1);
      const entry = { path: name, size: 0, hash: "", modified: "", is_directory: true };
      directory.add([path.includes("/") ? { ...entry, path } : entry], 0);
    }
  }

  /** Whether a directory is still there is asked when things have calmed down. */
  #doubt(name) {
    this.#doubtful.add(join(this.path, name));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#askForDoubtful(), SETTLE);
  }

  async #askForDoubtful() {
    const paths = [...this.#doubtful].filter((path) => isBelow(path, this.path));
    this.#doubtful.clear();
    for (const path of paths) {
      const error = await this.#api.metadata(path).then(() => null, (error) => error);
      if (error?.status === 404) this.directory.forget(path.slice(this.path ? this.path.length + 1 : 0));
    }
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
