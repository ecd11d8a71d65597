/** The page of one feed: its figures, live, and a replay of its log from a cursor. */
import { config } from "./socket.js";
import { followFigures } from "./feed-figures.js";
import { FeedPicture } from "./feed-picture.js";

const LONGEST_PAUSE_MS = 2000;
const part = (id) => document.getElementById(id);
let picture = null;
let running = 0;

/** Every line behind a cursor, page by page. */
async function linesAfter(cursor) {
  const lines = [];
  for (let after = cursor; after; ) {
    const response = await fetch(`${config.replay_url}?${new URLSearchParams({ name: config.feed, after })}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(`${answer.code}: ${answer.message}`);
    lines.push(...answer.lines);
    after = answer.next;
  }
  return lines;
}

/** How the layer is now, by the JSON text of the id. */
async function picturedNow() {
  const features = new Map();
  for (let url = config.features_url; url; ) {
    const response = await fetch(url);
    if (!response.ok) break; // its features may be of no concern to this user; the log is shown nevertheless
    const page = await response.json();
    for (const feature of page.features) features.set(JSON.stringify(feature.id), feature);
    url = page.links?.find(({ rel }) => rel === "next")?.href;
  }
  return features;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : { properties: { value } };
  } catch {
    return { properties: { value: text } };
  }
}

/** What the feed was like at the beginning: as it is now, with what each key was before its first line. */
function rewound(now, lines) {
  const then = new Map(now);
  for (const line of [...lines].reverse()) {
    if (line.old !== null) then.set(line.key, parsed(line.old));
    else then.delete(line.key);
  }
  return then;
}

function applyLine({ seq, key, new: value }) {
  if (value === null) picture.delete(key);
  else picture.set(key || seq, parsed(value));
}

async function play(after, speed) {
  const mine = ++running;
  const now = await picturedNow();
  const lines = await linesAfter(after);
  part("replay-view").hidden = false;
  picture ??= new FeedPicture({ map: part("map"), rows: part("picture"), baseMap: config.base_map });
  picture.map.invalidateSize();
  picture.clear();
  for (const [key, feature] of rewound(now, lines)) picture.set(key, feature);
  let last = null;
  for (const [place, line] of lines.entries()) {
    const pause = speed && last && line.arrived ? Math.min((line.arrived - last) / speed, LONGEST_PAUSE_MS) : 0;
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    if (mine !== running) return;
    last = line.arrived ?? last;
    applyLine(line);
    part("replayed").textContent = `${place + 1} of ${lines.length} lines, seq ${line.seq}`;
  }
  if (!lines.length) part("replayed").textContent = "Nothing has changed since.";
}

part("replay")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  part("problem").textContent = "";
  play(String(form.get("after")).trim(), Number(form.get("speed"))).catch((error) => (part("problem").textContent = error.message));
});
part("replay")?.querySelector("button").removeAttribute("disabled");
followFigures();
