/** The card with the properties of one feature, which goes where the feature goes. */
import { element, setText, svg } from "./dom.js";
import { curve } from "./feature-history.js";
import { describe, formatValue, tellingFirst } from "./properties.js";

const OFFSET = 20;
const EDGE = 8;
/** Of a curve, in pixels. */
const CURVE = { width: 52, height: 13 };

export class Card {
  #overlay;
  #card;
  #following = false;
  #followButton;
  #link;
  target = null;

  /** @param {HTMLElement} card @param {object} overlay the feature overlay */
  constructor(card, overlay) {
    this.#card = card;
    this.#overlay = overlay;
    this.#followButton = card.querySelector("[data-follow]");
    this.#link = card.querySelector("[data-link]");
    card.querySelector("[data-close]").addEventListener("click", () => this.hide());
    document.addEventListener("keydown", ({ key }) => key === "Escape" && this.hide());
    this.#followButton.addEventListener("click", () => this.#setFollowing(!this.#following));
    overlay.on("frame", () => this.#keepPlace());
  }

  /** Called with where the feature is that is to be kept in the middle. @type {(place: {x: number, y: number}) => void} */
  keepInMiddle = () => {};

  /** Somebody has moved the map. */
  stopFollowing() {
    if (this.#following) this.#setFollowing(false);
  }

  #setFollowing(on) {
    this.#following = on;
    this.#followButton.setAttribute("aria-pressed", String(on));
    this.#overlay.redrawPoints();
  }

  show(target) {
    const same = this.target?.drawable === target.drawable;
    this.target = target;
    this.#card.hidden = false;
    if (!same) this.refresh();
    this.#overlay.selected = target;
    this.#overlay.redrawPoints();
  }

  hide() {
    this.target = null;
    this.stopFollowing();
    this.#card.hidden = true;
    this.#overlay.selected = null;
    this.#overlay.redrawPoints();
  }

  /** The features changed: show the current version, or close if it is gone. */
  refresh() {
    if (!this.target) return;
    const { scene, drawable } = this.target;
    const current = scene.tracks.get(drawable.key) ?? scene.shapes.get(drawable.key);
    if (!current) return this.hide();
    this.target.drawable = current;
    setText(this.#card.querySelector("[data-title]"), scene.titleOf(current.feature));
    setText(this.#card.querySelector("[data-layer]"), scene.layer.title);
    this.#card.style.setProperty("--swatch", scene.colours[current.step]);
    this.#fill(current.feature);
  }

  #fill({ id, geometry, properties }) {
    const rows = [...tellingFirst(properties ?? {}), ["id", id]];
    if (geometry.type === "Point")
      rows.push([
        "position",
        geometry.coordinates
          .slice(0, 2)
          .map((degrees) => degrees.toFixed(4))
          .join(", "),
      ]);
    const body = this.#card.querySelector("tbody");
    body.replaceChildren(...rows.map(([name, value]) => this.#row(name, value)));
    this.#link.href = addressOf(this.target);
  }

  #row(name, value) {
    const text = formatValue(name, value);
    const shown = isWebAddress(value) ? element("a", { href: value, target: "_blank", rel: "noopener noreferrer" }, text) : text;
    const drawn = typeof value === "number" ? this.#curve(name) : [];
    return element("tr", {}, element("th", { scope: "row" }, describe(name).label), element("td", { title: text }, ...drawn, shown));
  }

  /** How a number has changed in the last minutes. */
  #curve(name) {
    const { history } = this.target.drawable;
    const path = history ? curve(history.of(name, performance.now()), CURVE.width, CURVE.height) : "";
    if (!path) return [];
    const drawing = svg(path, `-1 -1 ${CURVE.width + 2} ${CURVE.height + 2}`);
    drawing.setAttribute("class", "curve");
    return [drawing];
  }

  #keepPlace() {
    if (!this.target) return;
    const spot = this.#overlay.whereIs(this.target);
    if (spot) this.place(spot);
    if (spot && this.#following) this.keepInMiddle(spot);
  }

  /** Beside this place on the map (above or below it where the window is narrow), inside the window. */
  place({ x, y }) {
    const { offsetWidth: width, offsetHeight: height } = this.#card;
    const { clientWidth, clientHeight } = this.#card.parentElement;
    const beside = { left: x + OFFSET + width > clientWidth - EDGE ? x - OFFSET - width : x + OFFSET, top: y - height / 2 };
    const above = { left: x - width / 2, top: y > height + OFFSET + EDGE ? y - OFFSET - height : y + OFFSET };
    const { left, top } = clientWidth < 2 * (width + OFFSET) ? above : beside;
    const inside = (value, end) => Math.round(Math.max(EDGE, Math.min(end - EDGE, value)));
    this.#card.style.transform = `translate(${inside(left, clientWidth - width)}px, ${inside(top, clientHeight - height)}px)`;
  }
}

/** An address of the map that shows this feature. */
function addressOf({ scene, drawable: { feature } }) {
  const fields = new URLSearchParams(location.hash.slice(1));
  fields.set("feature", JSON.stringify([scene.layer.name, feature.id]));
  return `#${fields}`;
}

/** Whether it may be a link: a browser would run others. */
function isWebAddress(value) {
  return typeof value === "string" && /^https?:\/\/\S+$/.test(value) && URL.canParse(value);
}
