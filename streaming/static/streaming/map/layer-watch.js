/**
 * Which layers there are and how they are, as the server's own events tell it. Events: `there` (a layer, new or changed: {name, title,
 * time_property, count, group, order, style}), `gone` (its name).
 */
export class LayerWatch extends EventTarget {
  #url;

  /** @param {string} url of the API's layers */
  constructor(url) {
    super();
    this.#url = url;
  }

  /** An event of the subscription to events. */
  take({ type, payload }) {
    if (type !== "custom" || payload?.source !== `layer:${payload?.layer}`) return;
    if (payload.event === "layer_removed") this.dispatchEvent(new CustomEvent("gone", { detail: payload.layer }));
    else if (payload.event === "layer_created" || payload.event === "layer_changed") this.fetch(payload.layer).catch(() => {}); // after a reload it is listed
  }

  /** Look for a layer, which may not be there yet; that it is may be known some seconds later. @returns {Promise<boolean>} whether it is there */
  async find(name) {
    const response = await fetch(this.#url, { headers: { accept: "application/json" } });
    return response.ok && this.#found((await response.json()).find((layer) => layer.name === name));
  }

  /** Get a layer that is there: known at once. @returns {Promise<boolean>} whether this user may read it */
  async fetch(name) {
    const address = `${this.#url.replace(/\/$/, "")}/${encodeURIComponent(name)}`;
    const response = await fetch(address, { headers: { accept: "application/json" } });
    return response.ok && this.#found(await response.json());
  }

  /** A layer is known to be so. @param {object} layer as the API has it */
  tell({ name, title, time_property, count, group, order, style }) {
    const detail = { name, title, time_property: time_property || null, count, group, order, style };
    this.dispatchEvent(new CustomEvent("there", { detail }));
  }

  #found(layer) {
    if (!layer) return false;
    this.tell(layer);
    return true;
  }
}
