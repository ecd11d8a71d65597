/** The figures of feeds on a page, live: the topic `admin:feeds` says every two seconds how they are. */
import { bytes, count, rate } from "./figures.js";
import { setText } from "../map/dom.js";
import { config, connect, socket } from "./socket.js";

/** @param {(feed: any) => void} [told] called with each feed, after its figures are shown */
export function followFigures(told = () => {}) {
  if (!config.feeds.length) return;
  const before = new Map();
  const problem = document.getElementById("problem");
  const channel = socket.channel("admin:feeds", { feeds: config.feeds });
  channel.on("feeds", ({ feeds }) => {
    const now = performance.now();
    problem.textContent = "";
    for (const feed of feeds) {
      const last = before.get(feed.name);
      const grown = last && last.epoch === feed.epoch && last.seq <= feed.seq ? ((feed.seq - last.seq) * 1000) / (now - last.now) : null;
      show(feed, grown);
      before.set(feed.name, { ...feed, now });
      told(feed);
    }
  });
  channel.on("problem", ({ message }) => (problem.textContent = message));
  channel.join();
  connect();
}

function show(feed, grown) {
  const texts = {
    items: count(feed.items),
    length: count(feed.length),
    subscribers: count(feed.subscribers),
    rate: rate(grown),
    bytes: bytes(feed.bytes),
    seq: count(feed.seq),
    oldest: count(feed.seq - feed.length + 1),
    cursor: `${feed.epoch}:${feed.seq}`,
  };
  const row = document.querySelector(`[data-feed="${CSS.escape(feed.name)}"]`);
  for (const part of row?.querySelectorAll("[data-part]") ?? []) setText(part, texts[part.dataset.part]);
}
