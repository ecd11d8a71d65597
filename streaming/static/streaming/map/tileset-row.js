/**
 * One tileset of the page: its row in the panel, and its layer on the map while it is switched on. What draws vector tiles is loaded with the
 * first of them that is. Events: `change` (it was switched), `figures` (something arrived), `refused` ({title, error}).
 */
import { element } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";
import { plainColour } from "./palette.js";
import { LiveTileLayer } from "./tile-layer.js";

/** Attributions come from files and from whoever wrote them, with links in them or worse; of that, the text. */
function plainText(markup) {
  const text = new DOMParser().parseFromString(markup, "text/html").body.textContent.trim();
  return element("span", {}, text).innerHTML;
}

export class TilesetRow extends EventTarget {
  #page;
  #title;
  #ordinal;
  #vector;
  #layer = null;
  #making = null;
  #credit = "";
  #credited = "";
  #parts;
  /**
   * @param {{name: string, title: string, vector: boolean}} tileset @param {number} ordinal its place in the list
   * @param {{map: object, client: object, calm: MediaQueryList, theme: import("./theme.js").Theme}} page
   */
  constructor({ name, title, vector }, ordinal, page) {
    super();
    this.name = name;
    this.#title = title;
    this.#ordinal = ordinal;
    this.#page = page;
    this.#parts = partsOf(name, title);
    this.item = element("li", {}, this.#parts.label, this.#parts.toggle, this.#parts.opacity);
    this.#parts.toggle.addEventListener("change", () => this.switch(this.on));
    this.#parts.opacity.addEventListener("input", () => this.#layer?.setOpacity(this.#opacity));
    page.theme.addEventListener("change", () => this.#paintSwatch());
    this.#setVector(vector);
  }

  get on() {
    return this.#parts.toggle.checked;
  }

  get subscription() {
    return this.#layer?.subscription ?? null;
  }

  get #opacity() {
    return this.#parts.opacity.value / 100;
  }

  switch(on) {
    this.#parts.toggle.checked = on;
    this.#parts.opacity.hidden = !on;
    if (on) this.#show();
    else this.#layer?.remove();
    this.#attribute();
    this.#emit("change");
  }

  async #show() {
    try {
      await (this.#making ??= this.#makeLayer());
    } catch (error) {
      this.#making = null; // it may be had another time
      this.switch(false);
      this.#refused(error);
    }
    if (this.on) this.#layer?.addTo(this.#page.map);
  }

  async #makeLayer() {
    const { client, calm, theme } = this.#page;
    const { LiveVectorLayer } = this.#vector ? await import("./vector-tile-layer.js") : {};
    const options = { opacity: this.#opacity };
    const layer = LiveVectorLayer
      ? new LiveVectorLayer(client, this.name, calm, theme, this.#ordinal, options)
      : new LiveTileLayer(client, this.name, calm, options);
    layer.on("described", ({ info }) => this.#describe(info));
    layer.on("figures", () => this.#emit("figures"));
    layer.on("refused", ({ error }) => this.#refused(error));
    layer.on("coloured", () => this.#paintSwatch());
    this.#layer = layer;
  }

  /** What tiles a file has is known only when it has been opened. */
  #describe({ format, attribution }) {
    if (this.#vector !== (format === "mvt")) return this.#changeKind();
    this.#credit = plainText(attribution);
    this.#attribute();
  }

  #changeKind() {
    this.#layer.remove();
    this.#layer = this.#making = null;
    this.#setVector(!this.#vector);
    this.switch(true);
  }

  #setVector(vector) {
    this.#vector = vector;
    this.#parts.swatch.hidden = !vector;
    this.#paintSwatch();
  }

  #paintSwatch() {
    const found = this.#layer?.swatch?.() ?? [plainColour(this.#page.theme.name, this.#ordinal)];
    const stops = found.length > 1 ? found : [...found, ...found];
    this.item.style.setProperty("--swatch", `linear-gradient(135deg, ${stops.join(", ")})`);
  }

  #attribute() {
    const control = this.#page.map.attributionControl;
    if (this.#credited) control.removeAttribution(this.#credited);
    this.#credited = this.on ? this.#credit : "";
    if (this.#credited) control.addAttribution(this.#credited);
  }

  #refused(error) {
    if (this.subscription?.closed) this.switch(false);
    this.#emit("refused", { title: this.#title, error });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function partsOf(name, title) {
  const toggle = element("input", {
    type: "checkbox",
    role: "switch",
    class: "switch",
    id: `tiles-${name}`,
    "data-testid": `tiles-${name}-toggle`,
  });
  const opacity = element("input", {
    type: "range",
    min: "10",
    max: "100",
    value: "100",
    class: "opacity",
    "aria-label": interpolate(gettext("Opacity of %(layer)s"), { layer: title }),
  });
  opacity.hidden = true;
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  const label = element("label", { for: `tiles-${name}` }, swatch, element("span", { class: "layer-title" }, title));
  return { toggle, opacity, swatch, label };
}
