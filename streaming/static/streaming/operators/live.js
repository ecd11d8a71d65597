/** The page Live: the topic `admin`, joined with the session of the admin, shown as tables. */
import { byTestId, element, setText } from "../map/dom.js";
import { Sparkline } from "../map/sparkline.js";
import { EventLog } from "../channels/event-log.js";
import { inWords } from "../channels/words.js";
import { Commands } from "./commands.js";
import { bytes, count, rate } from "./figures.js";
import { Model } from "./model.js";
import { Series } from "./series.js";
import { connect, socket } from "./socket.js";
import { feedsTable, nodesTable, socketsTable, topicsTable } from "./tables.js";

/** What has a curve of the last five minutes, and the measures that it adds up. */
const CURVES = {
  sockets: ["geostream_connections"],
  members: ["geostream_members"],
  in: ["geostream_messages_received_total"],
  out: ["geostream_messages_sent_total"],
  waiting: ["geostream_outbox_bytes"],
};
const SHOWN = 200;
const PAINT_AFTER = 200;
const ASK_AGAIN_AFTER = 3000;

const part = (id) => document.getElementById(id);
const channel = socket.channel("admin");
const monitor = socket.channel("monitor");
const series = new Series("5m", 5);
const curves = Object.entries(CURVES).map(([name, measures]) => {
  const canvas = element("canvas", { class: "curve", "aria-hidden": "true" });
  byTestId(`total-${name}`).parentElement.append(canvas);
  return [new Sparkline(canvas), measures];
});
const model = new Model();
const commands = new Commands(channel);
const log = new EventLog({ list: part("events"), empty: part("no-events"), pause: part("pause"), clear: part("clear") });
const tables = {
  nodes: nodesTable(part("nodes")),
  feeds: feedsTable(part("feeds")),
  topics: topicsTable(part("topics"), commands),
  sockets: socketsTable(part("sockets"), commands),
};
let timer = null;
let lastHeard = null;
let listing = false;

function paintSoon() {
  timer ??= setTimeout(paint, PAINT_AFTER);
}

function matching(rows, texts) {
  const query = part("find").value.trim().toLowerCase();
  return query ? rows.filter((row) => texts(row).join(" ").toLowerCase().includes(query)) : rows;
}

function fill(name, rows, key) {
  tables[name].show(rows.slice(0, SHOWN).map((row) => [row[key], row]));
  const more = rows.length - SHOWN;
  setText(part(`${name}-note`), more > 0 ? `and ${count(more)} more; search to find them` : rows.length ? "" : "None.");
}

function paint() {
  timer = null;
  const now = Date.now();
  model.forgetSilent(now);
  const nodes = model.nodeRows(now);
  tables.nodes.show(nodes.map((node) => [node.node, node]));
  const topics = model.topicRows(now);
  fill("topics", matching(topics, ({ topic, agents }) => [topic, ...(agents ?? new Map()).values()]), "topic");
  fill("feeds", matching(model.feedRows(now), ({ feed }) => [feed]), "feed");
  const sockets = model.socketRows(now);
  fill("sockets", matching(sockets, (row) => [row.who, row.address, row.dialect, row.id, row.name, ...row.topics]), "id");
  const totals = model.totals(now);
  for (const name of ["nodes", "sockets", "topics", "members", "dropped"]) setText(byTestId(`total-${name}`), count(totals[name]));
  for (const name of ["in", "out"]) setText(byTestId(`total-${name}`), rate(totals[name]));
  setText(byTestId("total-waiting"), bytes(totals.waiting));
  byTestId("total-dropped").classList.toggle("bad", totals.dropped > 0);
  showAge(now);
}

function showAge(now) {
  const joined = channel.state === "joined";
  part("content-main").classList.toggle("stale", !joined);
  const when = lastHeard && new Date(lastHeard).toLocaleTimeString();
  setText(part("age"), joined ? "" : lastHeard ? `What is shown is from ${when}.` : "");
  if (joined && lastHeard && now - lastHeard > 7000) setText(part("age"), `No report since ${when}.`);
}

function hear(event, payload) {
  if (event === "node.stats") {
    lastHeard = Date.now();
    if (model.report(payload, lastHeard)) listAgain();
  } else if (event.startsWith("channel.")) {
    model.apply(event, payload);
  }
  if (!/^(node\.stats$|channel\.list$|phx_|chan_reply_|presence_)/.test(event)) {
    log.add({ event, payload, about: payload?.channel ?? "" });
  }
  paintSoon();
  return event.startsWith("presence_") ? {} : payload; // shown as the members of the topic `admin`
}

function drawCurves() {
  for (const [curve, measures] of curves) curve.show(series.sum(measures));
}

function heardBefore(answer) {
  series.load(answer);
  drawCurves();
}

/** Redis may still be away. After a new connection everything is listed anyway. */
function listAgain() {
  if (listing || channel.state !== "joined") return;
  listing = true;
  model.beginList();
  const ended = (outcome) => {
    listing = false;
    if (outcome === "ok") model.endList();
    else setTimeout(listAgain, ASK_AGAIN_AFTER);
    paintSoon();
  };
  channel.push("channel.list", {}).receive("ok", () => ended("ok")).receive("error", ended).receive("timeout", ended);
}

function joined({ operate }) {
  model.reset();
  commands.allowed = operate;
  byTestId("broadcast-button").hidden = !operate;
  part("looking").hidden = operate;
  setText(part("refusal"), "");
  paintSoon();
}

function refused(refusal) {
  const login = refusal.reason === "unauthorized" ? " Log in again, as staff." : "";
  setText(part("refusal"), inWords(refusal) + login);
  paintSoon();
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${log.lines()}\n`], { type: "application/jsonl" }));
  link.download = `events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

channel.onMessage = hear;
channel.onError(paintSoon);
channel.onClose((payload) => payload?.reason && setText(part("refusal"), inWords(payload)));
monitor.on("frame", ({ frame }) => {
  series.append(frame);
  drawCurves();
});
monitor.join().receive("ok", () => monitor.push("history", { period: "5m" }).receive("ok", heardBefore));
channel.join().receive("ok", joined).receive("error", refused);
byTestId("broadcast-button").addEventListener("click", () => commands.broadcast(""));
part("find").addEventListener("input", paint);
part("find-events").addEventListener("input", ({ target }) => log.search(target.value));
part("export").addEventListener("click", save);
setInterval(paintSoon, 1000);
connect();
globalThis.operators = { socket, channel, model, log };
