/**
 * A bounded queue between a subscription and one `for await` loop. A consumer that is too slow loses the oldest
 * entries, never silently: the next entry it gets says how many went before it (`gap`).
 * @template {{gap?: number | null}} Entry
 * @implements {AsyncIterableIterator<Entry>}
 */
export class BoundedQueue {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {((result: IteratorResult<Entry>) => void) | null} */
  #waiting = null;
  #ended = false;
  #dropped = 0;
  #onReturn;

  /** @param {number} limit @param {() => void} onReturn called when the consumer leaves its loop */
  constructor(limit, onReturn) {
    this.limit = limit;
    this.#onReturn = onReturn;
  }

  /** @param {Entry} entry */
  push(entry) {
    if (this.#ended) return;
    if (this.#waiting) {
      this.#waiting({ value: entry, done: false });
      this.#waiting = null;
      return;
    }
    this.#entries.push(entry);
    if (this.#entries.length > this.limit) {
      this.#entries.shift();
      this.#dropped += 1;
    }
  }

  end() {
    this.#ended = true;
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = null;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Entry>>} */
  async next() {
    if (this.#entries.length > 0) return { value: this.#take(), done: false };
    if (this.#ended) return { value: undefined, done: true };
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  /** @returns {Promise<IteratorResult<Entry>>} */
  async return() {
    this.end();
    this.#entries = [];
    this.#onReturn();
    return { value: undefined, done: true };
  }

  #take() {
    const entry = /** @type {Entry} */ (this.#entries.shift());
    if (this.#dropped === 0) return entry;
    const gap = this.#dropped + (entry.gap ?? 0);
    this.#dropped = 0;
    return { ...entry, gap };
  }
}
