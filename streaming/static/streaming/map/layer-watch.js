/**
 * Which layers there are, as the server's own events tell it. Events: `there` (a layer, new or changed: {name, title, time_property}),
 * `gone` (its name).
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
    else if (payload.event === "layer_created") this.find(payload.layer).catch(() => {}); // it is there after a reload
  }

  /** Ask for a layer. @returns {Promise<boolean>} whether it is there, for this user */
  async find(name) {
    const response = await fetch(this.#url, { headers: { accept: "application/json" } });
    const found = (await response.json()).find((layer) => layer.name === name);
    if (!found) return false;
    const { title, time_property } = found;
    this.dispatchEvent(new CustomEvent("there", { detail: { name, title, time_property: time_property || null } }));
    return true;
  }
}
