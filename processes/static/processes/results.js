// Results for people: GeoJSON on a map, images as such, the rest as text or to download.
import { gettext } from "../streaming/map/gettext.js";
import { element } from "./dom.js";
import { serverAnswers } from "./execute.js";
import { drawn, isGeoJson, worldMap } from "./world-map.js";

const MOST_TEXT = 200_000;
const MOST_DRAWN = 20_000_000;

/** Fetches the results of a job as a document, and shows one block for each output. */
export async function showResults(container, url, countries) {
  container.replaceChildren(element("p", { class: "log" }, gettext("Loading the results …")));
  try {
    const response = await fetch(url, { headers: { accept: "application/json, */*;q=0.5" } });
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail ?? serverAnswers(response.status));
    const blocks = await outputs(response, url);
    container.replaceChildren(...blocks.map((block) => shown(block, countries)));
    if (!blocks.length) container.replaceChildren(element("p", { class: "log" }, gettext("No output.")));
  } catch (error) {
    container.replaceChildren(element("p", { class: "error-text", role: "alert" }, error.message));
  }
}

async function outputs(response, url) {
  const type = response.headers.get("content-type") ?? "";
  if (response.status === 204) return [];
  if (!type.includes("json")) return [{ name: "result", mediaType: type, href: url }];
  const document = await response.json();
  if (isGeoJson(document) || typeof document !== "object" || document === null || Array.isArray(document)) return [{ name: "result", value: document }];
  return Object.entries(document).map(([name, value]) => ({ name, ...unqualified(value) }));
}

function unqualified(value) {
  if (value && typeof value === "object" && isWebAddress(value.href)) return { href: value.href, mediaType: value.type };
  if (value && typeof value === "object" && "value" in value) return value;
  return { value };
}

// A result may hold any link: one that a browser would run is text.
function isWebAddress(href) {
  return typeof href === "string" && URL.canParse(href, location) && /^https?:$/.test(new URL(href, location).protocol);
}

function shown({ name, value, href, mediaType = "", encoding }, countries) {
  const block = element("section", { class: "result", "data-output": name }, element("h3", {}, name));
  const address = encoding === "base64" ? `data:${mediaType.split(";")[0]};base64,${value}` : href;
  const isOurs = encoding === "base64" || (address && new URL(address, location).origin === location.origin); // pages load nothing from elsewhere
  if (isOurs && /^image\/(png|jpeg|webp|gif)/.test(mediaType)) block.append(element("img", { src: address, alt: name }));
  if (address) {
    block.append(element("p", {}, element("a", { href: address, download: encoding ? name : undefined }, mediaType ? `${name} (${mediaType})` : name)));
    return block;
  }
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  if (isGeoJson(value) && text.length < MOST_DRAWN) {
    const container = element("div", { class: "result-map", "data-testid": "result-map" });
    block.append(container);
    queueMicrotask(() => requestAnimationFrame(() => drawn(worldMap(container, countries), value)));
  }
  const file = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  block.append(element("details", { open: !isGeoJson(value) }, element("summary", {}, gettext("As text")), element("pre", {}, text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)} …` : text)));
  block.append(element("p", {}, element("a", { href: file, download: `${name}.${isGeoJson(value) ? "geojson" : "json"}` }, gettext("Download"))));
  return block;
}
