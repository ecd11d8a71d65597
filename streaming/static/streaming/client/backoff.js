/**
 * Exponential backoff with full jitter: the wait is uniform between zero and a ceiling that doubles, so that the
 * clients of a restarted server do not all come back in the same instant.
 *
 * @typedef {{initial?: number, max?: number, random?: () => number}} BackoffOptions milliseconds
 */
export class Backoff {
  /** @param {BackoffOptions} [options] */
  constructor({ initial = 500, max = 30_000, random = Math.random } = {}) {
    this.initial = initial;
    this.max = max;
    this.random = random;
    this.attempt = 0;
  }

  /** The next wait in milliseconds. */
  next() {
    const ceiling = Math.min(this.max, this.initial * 2 ** this.attempt);
    this.attempt += 1;
    return this.random() * ceiling;
  }

  reset() {
    this.attempt = 0;
  }
}
