/** What one client holds of a subscription: its whole filter, and the features as a map and a table, page by page. */
import { element, setText } from "../map/dom.js";
import { FeatureMap } from "./box-map.js";
import { count } from "./figures.js";

export class Picture {
  #map = null;
  #request = null;
  #starts = [0];

  /** @param {HTMLDialogElement} dialog @param {(request: object) => Promise<object>} ask */
  constructor(dialog, source, ask) {
    this.dialog = dialog;
    this.source = source;
    this.ask = ask;
    this.part("layers").addEventListener("change", ({ target }) => this.#turn({ layer: target.value, start: 0 }, [0]));
    this.part("later").addEventListener("click", () => this.#turn({ start: this.next }, [...this.#starts, this.next]));
    this.part("earlier").addEventListener("click", () => this.#turn({ start: this.#starts.at(-2) }, this.#starts.slice(0, -1)));
  }

  part(name) {
    return this.dialog.querySelector(`[data-part="${name}"]`);
  }

  open(connection, { id, feed }) {
    setText(this.dialog.querySelector("h2"), `What ${connection.user || "the client"} holds of ${feed}`);
    this.part("layers").replaceChildren();
    this.part("features").replaceChildren();
    setText(this.part("filter"), "");
    this.dialog.showModal();
    this.#map ??= new FeatureMap(this.part("map"), this.source);
    this.#request = { connection: connection.id, subscription: id, layer: null, start: 0 };
    this.#turn({}, [0]);
  }

  async #turn(changes, starts) {
    Object.assign(this.#request, changes);
    const request = this.#request;
    setText(this.part("state"), "Asking its process…");
    try {
      const picture = await this.ask({ ...request });
      if (request !== this.#request) return;
      this.#starts = starts;
      this.#show(picture);
    } catch (error) {
      setText(this.part("state"), error.message);
    }
  }

  #show({ filter, layers, layer, total, start, next, features, delayed, sending }) {
    this.next = next;
    setText(this.part("filter"), JSON.stringify(filter, null, 1));
    this.part("layers").replaceChildren(...layers.map((name) => element("option", { value: name }, name)));
    this.part("layers").value = layer ?? "";
    this.part("layers").hidden = layers.length < 2;
    const range = features.length ? `${count(start + 1)} to ${count(start + features.length)} of ${count(total)} features` : `${count(total)} features`;
    const waits = delayed ? `; ${count(delayed)} changes wait for the client` : sending ? "; some of it is still being sent" : "; the client has all of it";
    setText(this.part("state"), layer === null ? "This is not a subscription to features." : range + waits);
    this.part("earlier").disabled = this.#starts.length < 2;
    this.part("later").disabled = next === null;
    this.part("features").replaceChildren(...features.map(rowOf));
    this.#map.show(features.filter(({ feature }) => feature?.geometry).map(({ feature }) => feature));
  }
}

function rowOf({ id, feature, delayed }) {
  const kind = feature?.geometry?.type ?? "–";
  const where = kind === "Point" ? `${kind} ${feature.geometry.coordinates.slice(0, 2).map((number) => number.toFixed(4)).join(", ")}` : kind;
  const properties = feature ? JSON.stringify(feature.properties ?? {}) : "too large to be shown";
  return element("tr", { class: delayed ? "delayed" : "" }, element("th", { scope: "row" }, String(feature?.id ?? id)), element("td", {}, where), element("td", { class: "properties" }, properties), element("td", {}, delayed ? "a newer version waits" : "sent"));
}
