/** What the properties of a layer's features are like: what an editor of styles can offer. */
import { numberOf, TIME, Z } from "../style/values.js";
import { readValue } from "./symbols.js";

/** So many features are looked at. */
const SAMPLE = 2_000;
/** A property with more different texts is no category. */
const MOST_TEXTS = 500;

/**
 * @typedef {object} KnownProperty
 * @property {string} name
 * @property {number[]} numbers that it has
 * @property {[any, number][]} texts its texts and booleans, the most frequent first, and how often each is there
 */

/** @param {Iterable<object>} features @param {string | null} timeProperty @returns {KnownProperty[]} in the order of their names */
export function surveyProperties(features, timeProperty) {
  /** @type {Map<string, {numbers: number[], texts: Map<any, number>}>} */
  const found = new Map();
  const note = (name, value) => {
    if (!found.has(name)) found.set(name, { numbers: [], texts: new Map() });
    const { numbers, texts } = found.get(name);
    if (!Number.isNaN(numberOf(value))) numbers.push(value);
    else if ((typeof value === "string" || typeof value === "boolean") && (texts.has(value) || texts.size <= MOST_TEXTS)) texts.set(value, (texts.get(value) ?? 0) + 1);
  };
  let count = 0;
  for (const feature of features) {
    if (count++ >= SAMPLE) break;
    for (const [name, value] of Object.entries(feature.properties ?? {})) note(name, value);
    for (const name of [Z, TIME]) {
      const value = numberOf(readValue(feature, name, timeProperty));
      if (!Number.isNaN(value)) note(name, value);
    }
  }
  return [...found]
    .map(([name, { numbers, texts }]) => ({ name, numbers, texts: texts.size > MOST_TEXTS ? [] : [...texts].sort(([, one], [, other]) => other - one) }))
    .filter(({ numbers, texts }) => numbers.length + texts.length > 0)
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}
