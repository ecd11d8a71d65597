/**
 * Work that is done a little in each animation frame, so that a page stays smooth whatever arrives.
 *
 * What is to be done is a set of keys: something that changes ten times before its turn is looked at once, as it is then. How many are
 * taken in a frame follows from what they have cost so far. In a page that nobody sees there are no frames, and what waits is bounded by
 * how many keys there are.
 */

/** Taken in a frame, however long they take: else nothing would ever be done on a slow machine. */
const LEAST = 16;

/** Animation frames, and where there are none (Node) a timer. @type {{ask: (run: () => void) => number, cancel: (id: number) => void}} */
const FRAMES =
  "requestAnimationFrame" in globalThis
    ? { ask: (run) => requestAnimationFrame(run), cancel: (id) => cancelAnimationFrame(id) }
    : { ask: (run) => Number(setTimeout(run, 16)), cancel: (id) => clearTimeout(id) };

/**
 * @template Key
 * @typedef {object} FrameWork
 * @property {() => boolean} [ready] whether there may be another step now; asked again in the next frame
 * @property {(keys: Key[]) => void} step does what is to be done about these
 * @property {number} budget milliseconds of a frame
 */

/** @template Key */
export class Frames {
  /** @type {Set<Key>} */
  #waiting = new Set();
  /** @type {number | null} */
  #frame = null;
  /** Milliseconds for one key, as measured. */
  #cost = 0.005;
  #work;

  /** @param {FrameWork<Key>} work */
  constructor(work) {
    this.#work = work;
  }

  /** How many keys wait for their turn. */
  get size() {
    return this.#waiting.size;
  }

  /** @param {Iterable<Key>} keys */
  add(keys) {
    for (const key of keys) this.#waiting.add(key);
    this.#schedule();
  }

  /** Forget what waits. */
  stop() {
    this.#waiting.clear();
    if (this.#frame !== null) FRAMES.cancel(this.#frame);
    this.#frame = null;
  }

  #schedule() {
    if (this.#waiting.size > 0) this.#frame ??= FRAMES.ask(() => this.#run());
  }

  #run() {
    this.#frame = null;
    try {
      if (this.#work.ready?.() ?? true) this.#step();
    } finally {
      this.#schedule();
    }
  }

  #step() {
    const keys = this.#take(Math.max(LEAST, Math.floor(this.#work.budget / this.#cost)));
    const start = performance.now();
    this.#work.step(keys);
    const cost = (performance.now() - start) / keys.length;
    this.#cost = Math.max(0.0005, (this.#cost + cost) / 2);
  }

  /** @param {number} count */
  #take(count) {
    const keys = [];
    for (const key of this.#waiting) {
      if (keys.length === count) break;
      keys.push(key);
      this.#waiting.delete(key);
    }
    return keys;
  }
}
