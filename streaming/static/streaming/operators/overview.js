/** The admin's first page: whether the site is well, its measures over time, and its processes, as the topic `monitor` tells them. */
import { byTestId, element, setText } from "../map/dom.js";
import { anchor, ChartCard } from "./chart-card.js";
import { connectedLists } from "./connected.js";
import { ago, bytes, count, figure, rate } from "./figures.js";
import { problemsWith } from "./problems.js";
import { Rows } from "./rows.js";
import { Series } from "./series.js";
import { connect, socket } from "./socket.js";

/** Without a frame for so long, what is shown is old. */
const SILENT_AFTER = 16_000;

const part = (id) => document.getElementById(id);
const channel = socket.channel("monitor");
/** @type {ChartCard[]} */
let cards = [];
let steps = { "5m": 5 };
let series = new Series("5m", 5);
let latest = null;
let heardAt = 0;
let refusal = "";
/** What fires, by id. @type {Map<string, import("./problems.js").Alert>} */
const alerts = new Map();

const byProcess = () => part("by-process").checked;
const period = () => document.querySelector("[name=period]:checked").value;

function joined({ charts, steps: told, latest: event }) {
  steps = told;
  refusal = "";
  alerts.clear(); // they are told anew
  if (!cards.length) {
    cards = charts.map((chart) => new ChartCard(chart));
    part("charts").replaceChildren(...cards.map(({ node }) => node));
  }
  if (event) hear(event);
  load();
}

/** Ask for what was before. */
function load() {
  const wanted = period();
  channel.push("history", { period: wanted, by_process: true }).receive("ok", (answer) => {
    if (wanted !== period()) return;
    series = new Series(wanted, steps[wanted]);
    series.load(answer);
    if (latest && wanted === "5m") series.append(latest.frame);
    paint();
  });
}

function hear(event) {
  latest = event;
  heardAt = Date.now();
  if (series.period === "5m") series.append(event.frame);
  else if (event.frame.at - series.last > series.step) load();
  paint();
}

function paint() {
  for (const card of cards) card.show(series, byProcess());
  showHealth();
  showNodes();
}

function showHealth() {
  const late = Date.now() - heardAt > SILENT_AFTER;
  const problems = problemsWith(latest?.problems ?? [], alerts.values());
  if (refusal) problems.unshift({ level: "bad", text: refusal });
  else if (latest && late) {
    const when = new Date(latest.frame.at * 1000).toLocaleTimeString("en-GB");
    problems.unshift({ level: "bad", text: `Nothing has been reported since ${when}; what is shown is from then.` });
  }
  const bad = problems.filter(({ level }) => level === "bad").length;
  const state = !latest && !refusal ? "unknown" : bad ? "bad" : problems.length ? "note" : "good";
  part("health").dataset.state = state;
  part("overview").classList.toggle("stale", late && latest !== null);
  const words = { unknown: "Waiting for the first report…", bad: bad === 1 ? "Something is wrong." : `${bad} things are wrong.`, note: "All is well, with a note.", good: "All is well." };
  setText(byTestId("health-word"), words[state]);
  setText(byTestId("health-sum"), latest ? sentence(latest.frame) : "");
  const texts = problems.map(({ level, text, chart }) => {
    const link = chart ? [" ", element("a", { href: `#${anchor(chart)}` }, chart)] : [];
    return element("li", { class: level }, text, ...link);
  });
  const list = part("problems");
  if (list.textContent !== texts.map(({ textContent }) => textContent).join("")) list.replaceChildren(...texts);
}

function sentence({ count: processes, total }) {
  const sum = (measure) => Object.entries(total).reduce((sum, [line, value]) => sum + (line.startsWith(`${measure}|`) ? value : 0), 0);
  const [open, sent] = [sum("geostream_connections"), sum("geostream_messages_sent_total")];
  return `${count(processes)} ${processes === 1 ? "process" : "processes"}, ${count(open)} ${open === 1 ? "connection" : "connections"}, ${rate(sent)} messages to clients a second.`;
}

const HEADINGS = ["Process", "Up for", "Connections", "Messages out", "Bytes out", "Processor", "Memory", "Loop late by", "State"];
const nodes = new Rows(part("nodes"), () => {
  const cells = HEADINGS.map((heading, place) => element(place ? "td" : "th", { "data-heading": heading, class: place && place < 8 ? "number" : place ? "" : "name" }));
  cells[0].setAttribute("scope", "row");
  const row = element("tr", {}, ...cells);
  const update = (texts) => {
    texts.forEach((text, place) => setText(cells[place], text));
    row.dataset.state = texts[8].split(",")[0];
    cells[8].classList.toggle("bad", texts[8].startsWith("silent"));
  };
  return { nodes: [row], update };
});

function showNodes() {
  if (!latest) return;
  const now = Date.now() / 1000;
  const living = Object.entries(latest.frame.nodes).map(([node, { name, started, values }]) => {
    const sum = (measure) => Object.entries(values).reduce((sum, [line, value]) => sum + (line === measure || line.startsWith(`${measure}|`) ? value : 0), 0);
    const texts = [
      name,
      ago(now - started),
      count(sum("geostream_connections")),
      `${rate(sum("geostream_messages_sent_total"))}/s`,
      `${bytes(sum("geostream_bytes_sent_total"))}/s`,
      figure(sum("process_cpu_seconds_total"), { unit: "cores", rate: false }),
      bytes(sum("process_resident_memory_bytes")),
      figure(sum("geostream_loop_lag_seconds"), { unit: "s", rate: false }),
      "running",
    ];
    return [node, texts];
  });
  const gone = Object.entries(latest.ended).map(([node, { name, started, at, orderly }]) => {
    const state = `${orderly ? "stopped" : "silent"}, ${ago(now - at)} ago`;
    return [node, [name, ago(at - started), "–", "–", "–", "–", "–", "–", state]];
  });
  nodes.show([...living.sort(([, a], [, b]) => a[0].localeCompare(b[0])), ...gone]);
  const more = latest.frame.count - living.length;
  setText(part("nodes-note"), more > 0 ? `and ${count(more)} more, which are in the totals` : "");
}

function refused({ reason }) {
  refusal = reason === "unauthorized" ? "You are not logged in as staff any more: log in again." : `The live figures were refused: ${reason}.`;
  paint();
}

function recolour() {
  for (const card of cards) card.recolour();
  paint();
}

let showConnected;
channel.on("frame", hear);
channel.on("connected", ({ lists }) => {
  showConnected ??= connectedLists(document.querySelectorAll(".connected tbody"));
  showConnected(lists);
});
channel.on("alert", (alert) => {
  if (alert.state === "firing") alerts.set(alert.id, alert);
  else alerts.delete(alert.id);
  showHealth();
});
channel.join().receive("ok", joined).receive("error", refused);
for (const choice of document.querySelectorAll("[name=period]")) choice.addEventListener("change", load);
part("by-process").addEventListener("change", paint);
new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
setInterval(showHealth, 1000);
connect();
globalThis.overview = { socket, channel, shown: () => ({ latest, series }) };
