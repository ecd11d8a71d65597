/**
 * The editor of a layer's style, for who may change it: what is chosen is shown on the map at once, and saved or given up at the end. Events:
 * `preview` (the scene, drawn in another way), `saved` (the layer, as the API has it).
 */
import { byTestId, element, svg } from "./dom.js";
import { gettext, interpolate } from "./gettext.js";
import { plainColour } from "./palette.js";
import { surveyProperties } from "./property-survey.js";
import { colourFields, iconFields, sizeFields } from "./style-fields.js";

/** Of a layer of which the page holds nothing, so many features are asked for. */
const ASKED = 200;

export class StyleEditor extends EventTarget {
  #url;
  #csrf;
  #scene = null;
  #style = null;
  #properties = [];
  #fields = element("div", { class: "style-fields" });
  #error = element("p", { class: "error-text", role: "alert" });
  #title = element("h2", { id: "style-title" });
  #save = this.#button(gettext("Save"), "button primary", () => this.#send(this.#style));
  #panel;

  /** @param {string} url of the API's layers @param {string} csrf the page's token */
  constructor(url, csrf) {
    super();
    this.#url = url.replace(/\/$/, "");
    this.#csrf = csrf;
    const close = this.#button("", "icon-button", () => this.close());
    close.append(svg("m4 4 8 8m0-8-8 8", "0 0 16 16"));
    close.setAttribute("aria-label", gettext("Close"));
    const reset = this.#button(gettext("Reset"), "button", () => this.#start());
    const remove = this.#button(gettext("No style"), "button quiet", () => this.#send(null));
    remove.title = gettext("Draw the layer by what its features are like");
    const buttons = element("div", { class: "style-buttons" }, this.#save, reset, remove);
    this.#panel = element(
      "section",
      { id: "style-editor", class: "glass", role: "dialog", "aria-labelledby": "style-title", "data-testid": "style-editor", hidden: "" },
      element("header", {}, this.#title, close),
      this.#fields,
      this.#error,
      buttons,
    );
    this.#panel.addEventListener("keydown", (event) => {
      event.stopPropagation(); // keys of the map
      if (event.key === "Escape") this.close();
    });
    document.body.append(this.#panel);
  }

  /** @param {import("./layer-scene.js").LayerScene} scene */
  async open(scene) {
    if (this.#scene) this.close();
    this.#scene = scene;
    this.#title.textContent = interpolate(gettext("Style: %(layer)s"), { layer: scene.layer.title });
    const held = [...scene.drawables()].map(({ feature }) => feature);
    const features = held.length > 0 ? held : await this.#ask(scene.layer.name);
    if (this.#scene !== scene) return;
    this.#properties = surveyProperties(features, scene.layer.time_property);
    this.#panel.hidden = false;
    this.#start();
    this.#fields.querySelector("select").focus();
  }

  /** What has not been saved is given up. */
  close() {
    const scene = this.#scene;
    if (!scene) return;
    this.#scene = null;
    this.#panel.hidden = true;
    scene.setStyle(null);
    this.#emit("preview", scene);
    const button = byTestId(`layer-${scene.layer.name}-menu`);
    (button?.offsetParent ? button : document.getElementById("map")).focus();
  }

  /** The layer is gone. */
  forget(name) {
    if (this.#scene?.layer.name === name) this.close();
  }

  /** From the style that is saved. */
  #start() {
    this.#style = structuredClone(this.#scene.ownStyle);
    this.#show();
    this.#preview();
  }

  #show() {
    const editing = {
      style: this.#style,
      properties: this.#properties,
      theme: this.#scene.theme,
      plain: plainColour(this.#scene.theme, this.#scene.ordinal),
      changed: () => this.#preview(),
      redraw: () => {
        const label = document.activeElement?.getAttribute("aria-label");
        this.#show();
        if (label) this.#fields.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus();
        this.#preview();
      },
    };
    this.#fields.replaceChildren(...colourFields(editing), ...sizeFields(editing), ...iconFields(editing));
  }

  #preview() {
    const why = whyNot(this.#style);
    this.#error.textContent = why;
    this.#save.disabled = why !== "";
    if (why) return;
    this.#scene.setStyle(structuredClone(this.#style));
    this.#emit("preview", this.#scene);
  }

  async #ask(name) {
    const response = await fetch(`${this.#url}/${encodeURIComponent(name)}/features?limit=${ASKED}`, { headers: { accept: "application/json" } });
    return response.ok ? (await response.json()).features : [];
  }

  async #send(style) {
    const { name } = this.#scene.layer;
    const headers = { "content-type": "application/json", accept: "application/json", "x-csrftoken": this.#csrf };
    const body = JSON.stringify({ style });
    const answer = await fetch(`${this.#url}/${encodeURIComponent(name)}/`, { method: "PATCH", headers, body }).catch((error) => error);
    if (answer instanceof Error) return (this.#error.textContent = answer.message);
    const said = await answer.json();
    if (!answer.ok) return (this.#error.textContent = said.message);
    this.#emit("saved", said);
    this.close();
  }

  #button(text, kind, run) {
    const made = element("button", { type: "button", class: kind }, text);
    made.addEventListener("click", run);
    return made;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What is wrong with a style that is being edited; "" if nothing is. */
function whyNot({ color, size }) {
  if (color?.domain && color.domain[0] >= color.domain[1]) return gettext("The range of colours has to go upwards.");
  const sizes = typeof size === "object" ? size.stops.map(([, pixels]) => pixels) : size === undefined ? [] : [size];
  return sizes.every((pixels) => pixels >= 2 && pixels <= 40) ? "" : gettext("Sizes are 2 to 40 pixels.");
}
