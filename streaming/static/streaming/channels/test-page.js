/** The page for trying topics out: phoenix.js as it is published, and nothing that an application could not do. */
import { Socket } from "../vendor/phoenix/phoenix.mjs";
import { byTestId } from "../map/dom.js";
import { gettext } from "../map/gettext.js";
import { Theme } from "../map/theme.js";
import { showConnection } from "./badge.js";
import { TopicCard } from "./topic-card.js";

const config = JSON.parse(document.getElementById("channels-config").textContent);
const theme = new Theme();
const socket = new Socket(config.socket_url);

function wireName() {
  const form = document.getElementById("who");
  form.elements.name.value = config.name;
  byTestId("theme-toggle").addEventListener("click", () => theme.toggle());
}

function build({ topic, chosen }) {
  const root = document.getElementById("card").content.firstElementChild.cloneNode(true);
  root.dataset.topic = topic;
  root.dataset.testid = chosen ? "card-own" : `card-${topic}`;
  const [title, input] = ["topic", "topic-input"].map((part) => root.querySelector(`[data-part=${part}]`));
  if (chosen) input.value = topic;
  else input.remove();
  title.textContent = chosen ? gettext("Another topic") : topic;
  if (topic !== "system") root.querySelector("[data-part=time]").remove();
  for (const control of root.querySelectorAll("[data-label]")) {
    control.setAttribute("aria-label", `${control.dataset.label}: ${title.textContent}`);
  }
  document.getElementById("cards").append(root);
  return new TopicCard(root, socket, config);
}

wireName();
showConnection(socket, byTestId("connection-state"));
const cards = [{ topic: "system" }, { topic: "streaming" }, { topic: config.topic, chosen: true }].map(build);
socket.connect();
globalThis.channels = { socket, cards };
