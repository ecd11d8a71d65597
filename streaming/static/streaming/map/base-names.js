/** The names of countries, lakes and places on the base map: the more important ones first, and none over another. */
import { toX, toY } from "./mercator.js";

const READ = ([name, lon, lat, from, to = Infinity]) => ({ name, x: toX(lon), y: toY(lat), from, to });
/** There is room for the name of a lake a little later than Natural Earth shows it. */
const LAKES_LATER = 1.5;
const FONTS = { country: "600 11px system-ui, sans-serif", lake: "italic 11px system-ui, sans-serif", place: "500 11px system-ui, sans-serif" };

export class BaseNames {
  #names = { countries: [], lakes: [], places: [] };
  #taken = [];

  /** @param {string} url of `{countries, lakes, places}`: lists of name, longitude, latitude, and from and to which zoom it is shown */
  async load(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the names of places could not be loaded (${response.status})`);
    this.#names = Object.fromEntries(Object.entries(await response.json()).map(([kind, rows]) => [kind, rows.map(READ)]));
  }

  /** Places and countries whose name begins so, the more important ones first. @param {string} text in small letters @param {number} most */
  find(text, most) {
    const { places, countries } = this.#names;
    return [...countries, ...places].filter(({ name }) => plain(name).startsWith(plain(text))).slice(0, most);
  }

  /** @param {CanvasRenderingContext2D} context with a unit that is a pixel of the page */
  paint(context, view, colours) {
    this.#taken = [];
    Object.assign(context, { lineWidth: 3, lineJoin: "round", strokeStyle: colours.halo, textBaseline: "middle" });
    const { countries, lakes, places } = this.#names;
    const [large, others] = [places.filter(({ from }) => from <= 4), places.filter(({ from }) => from > 4)];
    this.#places(context, large, view, colours);
    this.#centred(context, "country", countries, view, colours.country, 0);
    this.#centred(context, "lake", lakes, view, colours.lakeName, LAKES_LATER);
    this.#places(context, others, view, colours);
  }

  #places(context, places, view, colours) {
    Object.assign(context, { font: FONTS.place, textAlign: "left", fillStyle: colours.place });
    for (const { name, x, y } of inView(places, view, 0)) if (this.#write(context, name, x, y, 7)) dot(context, x, y);
  }

  #centred(context, kind, names, view, colour, later) {
    Object.assign(context, { font: FONTS[kind], textAlign: "center", fillStyle: colour, letterSpacing: kind === "country" ? "1.6px" : "0px" });
    for (const { name, x, y } of inView(names, view, later)) this.#write(context, kind === "country" ? name.toUpperCase() : name, x, y, 0);
    context.letterSpacing = "0px";
  }

  /** @returns {boolean} whether there was room */
  #write(context, text, x, y, dx) {
    const { width } = context.measureText(text);
    const box = dx ? [x - 4, y - 8, x + dx + width + 4, y + 8] : [x - width / 2 - 7, y - 10, x + width / 2 + 7, y + 10];
    if (this.#taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) return false;
    this.#taken.push(box);
    context.strokeText(text, x + dx, y);
    context.fillText(text, x + dx, y);
    return true;
  }
}

/** Those that this zoom shows, in every copy of the world in view. */
function* inView(names, view, later) {
  for (const { name, x, y, from, to } of names) {
    const top = y * view.size - view.top;
    if (view.zoom < from + later || view.zoom > to + 1 || top < 0 || top > view.height) continue;
    let left = (((x * view.size - view.left) % view.size) + view.size) % view.size;
    for (; left < view.width; left += view.size) yield { name, x: left, y: top };
  }
}

/** Without accents, in small letters. */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function dot(context, x, y) {
  context.beginPath();
  context.arc(x, y, 2, 0, 2 * Math.PI);
  context.fill();
}
