/** Work of any size, done for a few milliseconds in each frame and in order, so that the map goes on moving meanwhile. */
const BUDGET = 6;

/** @template T */
export class FrameWork {
  #take;
  /** @type {T[]} */
  #waiting = [];
  #next = 0;

  /** @param {(item: T) => void} take does one piece, of well under a millisecond */
  constructor(take) {
    this.#take = take;
  }

  get idle() {
    return this.#waiting.length === 0;
  }

  /** @param {T[]} items */
  add(items) {
    const wasIdle = this.idle;
    for (const item of items) this.#waiting.push(item);
    if (wasIdle) requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    const end = performance.now() + BUDGET;
    while (this.#next < this.#waiting.length && performance.now() < end) this.#take(this.#waiting[this.#next++]);
    if (this.#next < this.#waiting.length) return requestAnimationFrame(() => this.#frame());
    this.#waiting = [];
    this.#next = 0;
  }
}
