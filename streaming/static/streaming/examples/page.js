/** What the examples share: the client, what is to be shown, and what the page says of it. */
import { GeoStreamClient } from "../geostream.js";
import { byTestId, setText } from "../map/dom.js";
import { gettext, LANGUAGE } from "../map/gettext.js";

const STATES = {
  connecting: gettext("Connecting…"),
  open: gettext("Live"),
  reconnecting: gettext("Not connected; trying again…"),
  closed: gettext("Closed"),
};

/** Of the map: what suits a light and a dark page. */
export const COLOURS = matchMedia("(prefers-color-scheme: dark)").matches
  ? { water: "#0a1322", land: "#16243e", border: "#3c5480", feature: "#2dd4bf", cells: ["#14304a", "#2dd4bf", "#fef08a"] }
  : { water: "#d5e3ee", land: "#fbfaf6", border: "#bccad8", feature: "#0d857b", cells: ["#cfe8f3", "#0d857b", "#7c2d12"] };

/** @param {Error} error */
export function onError(error) {
  const node = byTestId("problem");
  node.hidden = false;
  setText(node, error.message);
}

/** @param {string} library the global name of the map library */
export function start(library) {
  const config = JSON.parse(document.getElementById("example-config").textContent);
  const form = document.getElementById("shown");
  form.addEventListener("change", () => form.submit());
  if (!(library in globalThis)) {
    onError(new Error(gettext("The map library could not be loaded: GEOSTREAM_EXAMPLE_LIBRARIES says where from.")));
    throw new Error(`${library} is not there`);
  }
  const client = new GeoStreamClient(config.ws_path);
  const badge = byTestId("connection-state");
  client.addEventListener("state", ({ detail: { state } }) => {
    badge.dataset.state = state;
    setText(badge, STATES[state]);
  });
  client.addEventListener("closed", ({ detail }) => onError(new Error(detail.reason || gettext("The server has closed the connection."))));
  client.connect().catch(onError);
  return { client, ...config };
}

/** Say how many features there are, whenever that changes. @param {import("../geostream.js").FeatureSubscription} subscription */
export function count(subscription) {
  const node = byTestId("count");
  const say = () => setText(node, subscription.features.size.toLocaleString(LANGUAGE));
  subscription.addEventListener("changes", say);
}
