/**
 * The numbers that a feature had in the last minutes, one sample a second at most: what the card draws curves of. It is bounded, for there is
 * one for each moving feature of the page.
 */
import { numberOf } from "../style/values.js";

const SAMPLES = 48;
const SECOND = 1_000;
/** Older samples are not shown. */
const MINUTES = 10;
/** Of more properties, these are kept. */
const MOST_PROPERTIES = 6;

export class FeatureHistory {
  #names;
  #times = new Float64Array(SAMPLES);
  #values;
  #count = 0;

  /** @param {Record<string, any>} properties of which numbers are kept @param {number} now milliseconds */
  constructor(properties, now) {
    this.#names = Object.keys(properties)
      .filter((name) => !Number.isNaN(numberOf(properties[name])))
      .slice(0, MOST_PROPERTIES);
    this.#values = new Float32Array(SAMPLES * this.#names.length);
    this.add(properties, now);
  }

  /** A sample within a second of the one before takes its place. */
  add(properties, now) {
    if (this.#count > 1 && now - this.#times[this.#count - 2] < SECOND) this.#count -= 1;
    else if (this.#count === SAMPLES) this.#shift();
    this.#times[this.#count] = now;
    this.#names.forEach((name, place) => (this.#values[this.#count * this.#names.length + place] = numberOf(properties[name])));
    this.#count += 1;
  }

  #shift() {
    this.#times.copyWithin(0, 1);
    this.#values.copyWithin(0, this.#names.length);
    this.#count -= 1;
  }

  /** The values of a property in the last minutes. @returns {{time: number, value: number}[]} oldest first */
  of(name, now) {
    const place = this.#names.indexOf(name);
    if (place < 0) return [];
    const all = Array.from({ length: this.#count }, (_, at) => ({ time: this.#times[at], value: this.#values[at * this.#names.length + place] }));
    return all.filter(({ time, value }) => now - time < MINUTES * 60 * SECOND && !Number.isNaN(value));
  }
}

/**
 * The path of a curve in a box, as SVG has it; "" if there is nothing to see: fewer than three samples, or always the same value.
 * @param {{time: number, value: number}[]} samples @param {number} width @param {number} height
 */
export function curve(samples, width, height) {
  const values = samples.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (samples.length < 3 || low === high) return "";
  const [first, last] = [samples[0].time, samples.at(-1).time];
  const x = (time) => ((time - first) / Math.max(1, last - first)) * width;
  const y = (value) => height - ((value - low) / (high - low)) * height;
  return `M${samples.map(({ time, value }) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`;
}
