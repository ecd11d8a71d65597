/**
 * The uploads of the page: a few at once, the others wait. Where there is something of the same name, the user is asked what is to become of
 * it. Event: `change`.
 *
 * @typedef {"waiting" | "sending" | "asking" | "done" | "skipped" | "cancelled" | "failed"} UploadState
 * @typedef {"replace" | "keep" | "skip"} Choice
 * @typedef {{path: string, file: File | null}} Item a file, or a directory with nothing in it
 */
import { gettext } from "../map/gettext.js";
import { Refused } from "./api.js";
import { numbered } from "./paths.js";
import { Cancelled, Transfer } from "./transfer.js";
import { inWords } from "./words.js";

const AT_ONCE = 3;
const NEW_ONLY = { "If-None-Match": "*" };
const MOST_NAMES = 100;
const ENDED = new Set(["done", "skipped", "cancelled", "failed"]);

export class Upload {
  /** @type {UploadState} */
  state = "waiting";
  message = "";
  condition = NEW_ONLY;
  transfer = null;
  number = 1;
  keepBoth = false;

  /** @param {Item} item */
  constructor({ path, file }) {
    this.wanted = path;
    this.path = path;
    this.file = file;
    this.size = file?.size ?? 0;
  }

  get ended() {
    return ENDED.has(this.state);
  }

  get sent() {
    return this.state === "done" ? this.size : (this.transfer?.sent ?? 0);
  }

  /** Beside what is there: the next name that may be free. */
  rename() {
    this.keepBoth = true;
    this.number += 1;
    this.path = numbered(this.wanted, this.number);
    this.condition = NEW_ONLY;
  }
}

export class Uploads extends EventTarget {
  /** @type {Upload[]} */
  all = [];
  /** What is larger goes in parts of so many bytes. */
  partBytes = 8 * 2 ** 20;
  #api;
  #ask;
  #makeTransfer;
  #most = Infinity;
  #active = 0;
  #always = null;
  #questions = Promise.resolve();

  /**
   * @param {import("./api.js").FilesApi} api
   * @param {(upload: Upload, current: object, more: number) => Promise<{choice: Choice, always: boolean}>} ask
   */
  constructor(api, ask, makeTransfer = (...parts) => new Transfer(...parts)) {
    super();
    this.#api = api;
    this.#ask = ask;
    this.#makeTransfer = makeTransfer;
  }

  /** The size that one file may have. */
  set most(bytes) {
    this.#most = bytes;
  }

  /** Whether something is still to be sent. */
  get busy() {
    return this.all.some(({ ended }) => !ended);
  }

  /** How far all are: files and bytes. What failed or was skipped has ended. */
  get figures() {
    const figures = { files: this.all.length, ended: 0, failed: 0, bytes: 0, sent: 0 };
    for (const { state, ended, size, sent } of this.all) {
      figures.ended += ended;
      figures.failed += state === "failed";
      figures.bytes += size;
      figures.sent += ended ? size : sent;
    }
    return figures;
  }

  /** @param {Item[]} items */
  add(items) {
    if (!this.busy) [this.all, this.#always] = [this.all.filter(({ state }) => state === "failed"), null];
    this.all.push(...items.map((item) => new Upload({ ...item, path: item.path.normalize("NFC") })));
    this.#next();
  }

  /** @param {Upload} upload */
  cancel(upload) {
    if (upload.ended) return;
    upload.state = "cancelled";
    upload.transfer?.cancel();
    this.#changed();
  }

  cancelAll() {
    for (const upload of this.all) this.cancel(upload);
  }

  /** @param {Upload} upload */
  retry(upload) {
    Object.assign(upload, { state: "waiting", message: "" });
    this.#next();
  }

  /** Forget them if all went well. */
  clearIfDone() {
    const { files, ended, failed } = this.figures;
    if (ended === files && !failed) this.clear();
  }

  /** Forget what has ended. */
  clear() {
    this.all = this.all.filter(({ ended }) => !ended);
    this.#changed();
  }

  #next() {
    for (const upload of this.all) {
      if (this.#active >= AT_ONCE) break;
      if (upload.state === "waiting") this.#run(upload);
    }
    this.#changed();
  }

  async #run(upload) {
    upload.state = "sending";
    this.#active += 1;
    try {
      await this.#send(upload);
      if (upload.state === "sending") upload.state = "done";
    } catch (error) {
      if (error instanceof Refused && error.conflict) this.#conflict(upload, error.current);
      else if (!(error instanceof Cancelled)) this.#failed(upload, error);
    } finally {
      this.#active -= 1;
      upload.transfer = null;
    }
    this.#next();
  }

  async #send(upload) {
    if (upload.file === null) {
      await this.#api.makeDirectory(upload.path).catch((error) => error.code === "exists" || Promise.reject(error));
      return;
    }
    if (upload.size > this.#most) throw new Refused(413, { message: gettext("It is larger than one file may be.") });
    const { file, path, condition } = upload;
    upload.transfer = this.#makeTransfer(this.#api, file, path, condition, this.partBytes, () => this.#changed());
    await upload.transfer.run();
  }

  #failed(upload, error) {
    if (upload.ended) return;
    Object.assign(upload, { state: "failed", message: inWords(error) });
  }

  #conflict(upload, current) {
    if (upload.ended) return;
    if (upload.keepBoth && upload.number < MOST_NAMES) {
      upload.rename();
      upload.state = "waiting";
      return;
    }
    upload.state = "asking";
    this.#questions = this.#questions.then(() => this.#settle(upload, current)).catch((error) => this.#failed(upload, error));
  }

  /** One question at a time, while others are being sent. */
  async #settle(upload, current) {
    if (upload.state !== "asking") return;
    const more = this.all.filter((each) => each !== upload && !each.ended).length;
    const { choice, always } = this.#always ? { choice: this.#always } : await this.#ask(upload, current, more);
    if (always) this.#always = choice;
    if (upload.state !== "asking") return; // cancelled meanwhile
    if (choice === "skip") upload.state = "skipped";
    else {
      if (choice === "keep") upload.rename();
      else upload.condition = current ? { "If-Match": `"${current.hash}"` } : NEW_ONLY;
      upload.state = "waiting";
    }
    this.#next();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
