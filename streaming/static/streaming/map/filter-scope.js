/**
 * Which layers a filter is for: those whose features have its properties. The others stay as they are, and are named. What features have is
 * learnt from those that are held and, of a layer of which none are, from a few that the API lists.
 */
const SAMPLE = 10;
/** Numbers and quoted texts are passed over; a name that a parenthesis follows is a function. */
const TOKENS = /'(?:[^'\\]|''|\\.)*'|"((?:[^"]|"")*)"|\d[\w.]*|([\p{L}_:][\p{L}\d_.:]*)(\s*\()?/gu;
const WORDS = new Set(["and", "or", "not", "like", "between", "in", "is", "null", "true", "false", "div", "empty"]);
/** Every feature has these. */
const MEMBERS = new Set(["id", "geometry"]);

/** The properties that a CQL2 text names. @param {string | null} filter @returns {string[]} */
export function propertiesOf(filter) {
  const found = new Set();
  for (const [, quoted, name, call] of (filter ?? "").matchAll(TOKENS)) {
    const property = quoted?.replaceAll('""', '"') ?? (call || WORDS.has(name?.toLowerCase()) ? null : name);
    if (property && !MEMBERS.has(property)) found.add(property);
  }
  return [...found];
}

/** `addr.city` is a property of this name, or the way into one. */
const has = (names, property) => names.has(property) || names.has(property.split(".")[0]);

export class FilterScope {
  #scenes;
  #url;
  /** What the API said, by layer: names, or a promise of them. */
  #asked = new Map();

  /** @param {Map<string, import("./layer-scene.js").LayerScene>} scenes @param {string} url of the API's layers */
  constructor(scenes, url) {
    this.#scenes = scenes;
    this.#url = url.replace(/\/$/, "");
  }

  /**
   * Judge the filter anew.
   * @param {string | null} filter @param {string[]} names of the layers that are switched on
   * @returns {Promise<{others: string[], unknown: string[], properties: string[]}>} layers that it is not for; properties that no layer has;
   *   what there is instead
   */
  async judge(filter, names) {
    const wanted = propertiesOf(filter);
    if (wanted.length === 0) return { others: [], unknown: [], properties: [] };
    const known = new Map(await Promise.all(names.map(async (name) => [name, await this.#namesOf(name)])));
    const others = names.filter((name) => known.get(name).size > 0 && !wanted.every((property) => has(known.get(name), property)));
    const all = new Set([...known.values()].flatMap((each) => [...each]));
    const isUnsure = [...known.values()].some(({ size }) => size === 0);
    const unknown = isUnsure ? [] : wanted.filter((property) => !has(all, property));
    return { others, unknown, properties: [...all].sort() };
  }

  /** The properties that are known of layers, to be offered. @param {string[]} names */
  offered(names) {
    return [...new Set(names.flatMap((name) => [...this.#scenes.get(name).propertyNames]))].sort();
  }

  async #namesOf(name) {
    const held = this.#scenes.get(name)?.propertyNames ?? new Set();
    if (held.size > 0) return held;
    if (!this.#asked.has(name)) this.#asked.set(name, this.#ask(name));
    const listed = await this.#asked.get(name);
    if (listed.size === 0) this.#asked.delete(name); // it may have features later
    return listed;
  }

  async #ask(name) {
    try {
      const response = await fetch(`${this.#url}/${encodeURIComponent(name)}/features?limit=${SAMPLE}`, { headers: { accept: "application/json" } });
      const { features } = response.ok ? await response.json() : { features: [] };
      return new Set(features.flatMap(({ properties }) => Object.keys(properties ?? {})));
    } catch {
      return new Set();
    }
  }
}
