/** The page of one layer: what a subscriber with this filter is sent, on a map and in a table. */
import { GeoStreamClient } from "../geostream.js";
import { FeedPicture } from "./feed-picture.js";

const config = JSON.parse(document.getElementById("page-config").textContent);
const part = (id) => document.getElementById(id);
const picture = new FeedPicture({ map: part("map"), rows: part("picture"), baseMap: config.base_map });
const client = new GeoStreamClient(config.ws_path);
let subscription = null;

function subscribe() {
  const form = new FormData(part("look"));
  const text = (name) => String(form.get(name)).trim() || undefined;
  subscription?.unsubscribe();
  picture.clear();
  part("problem").textContent = "";
  const bbox = text("bbox")?.split(",").map(Number);
  subscription = client.subscribeFeatures(config.layer, { bbox, filter: text("filter"), datetime: text("datetime") });
  const mine = subscription;
  mine.addEventListener("changes", ({ detail }) => {
    if (mine === subscription) detail.forEach(apply);
    part("counted").textContent = `${picture.size} features`;
  });
  mine.addEventListener("ready", () => (part("counted").textContent = `${picture.size} features`));
  mine.addEventListener("error", ({ detail }) => (part("problem").textContent = `${detail.code}: ${detail.message}`));
}

function apply({ type, id, feature }) {
  if (type === "deleted") picture.delete(id);
  else picture.set(id, feature);
}

part("look").addEventListener("submit", (event) => {
  event.preventDefault();
  subscribe();
});
client.addEventListener("state", ({ detail }) => {
  part("state").textContent = detail.state;
  part("state").dataset.state = detail.state === "open" ? "open" : "reconnecting";
});
part("look").querySelector("button").removeAttribute("disabled");
subscribe();
client.connect().catch(() => {});
