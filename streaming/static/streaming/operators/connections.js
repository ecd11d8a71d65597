/** The page Connections: who is connected, what they look at, and what operators may do about it. The topic `admin:connections`. */
import { inWords } from "../channels/words.js";
import { element, setText } from "../map/dom.js";
import { BoxMap } from "./box-map.js";
import { ago, bytes, count } from "./figures.js";
import { Picture } from "./picture.js";
import { Rows } from "./rows.js";
import { config, connect, socket } from "./socket.js";

const part = (id) => document.getElementById(id);
const channel = socket.channel("admin:connections");
const look = { find: "", dialect: "", node: "", order: "newest", page: 0 };
const map = new BoxMap(part("boxes"), config.base_map, (id) => choose(id));
const picture = new Picture(part("picture"), config.base_map, (payload) => push("picture", payload));
let operate = false;
let chosen = null;
let listed = { rows: [], boxes: [], nodes: [], count: 0, page: 0, pages: 1 };

function push(command, payload) {
  return new Promise((resolve, reject) => {
    channel
      .push(command, payload)
      .receive("ok", resolve)
      .receive("error", (refusal) => reject(new Error(inWords(refusal))))
      .receive("timeout", () => reject(new Error(inWords({ reason: "timeout" }))));
  });
}

/** Do something, and say how it went. */
async function act(command, payload, done) {
  try {
    await push(command, payload);
    say("ok", done);
    return "";
  } catch (error) {
    say("error", error.message);
    return error.message;
  }
}

function say(outcome, text) {
  part("outcome").dataset.outcome = outcome;
  setText(part("outcome"), text);
}

// -- the list -----------------------------------------------------------------

const HEADINGS = [
  ["User", "name"],
  ["Address"],
  ["Dialect"],
  ["Follows"],
  ["Waiting", "number"],
  ["Lag", "number"],
  ["Dropped", "number"],
  ["In / out", "number"],
  ["Since", "number"],
  ["Process"],
];

function rowOf({ id }) {
  const row = element("tr", { "data-connection": id });
  const made = HEADINGS.map(([heading, kind]) => element(kind === "name" ? "th" : "td", { "data-heading": heading, class: kind ?? "" }));
  made[0].setAttribute("scope", "row");
  const fold = element("button", { type: "button", class: "fold", "aria-expanded": "false" });
  fold.addEventListener("click", () => choose(chosen === id ? null : id, true));
  made[0].append(fold);
  row.append(...made);
  const inside = element("td", { colspan: String(HEADINGS.length) });
  const details = element("tr", { class: "details" }, inside);
  details.hidden = true;
  let shown = "";
  const update = (item) => {
    const open = chosen === id;
    row.classList.toggle("chosen", open);
    fold.setAttribute("aria-expanded", String(open));
    setText(fold, item.user || "anonymous");
    const feeds = item.subscriptions.map(({ feed }) => feed);
    const more = item.subscription_count - feeds.length;
    const follows = [...new Set(feeds)].join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
    const waiting = item.queue_messages ? `${count(item.queue_messages)} (${bytes(item.queue_bytes)})` : "0";
    const texts = [item.address, item.format ? `${item.dialect} (${item.format})` : item.dialect, follows || "nothing", waiting];
    const figures = [count(item.lag), count(item.dropped), `${count(item.received)} / ${count(item.sent)}`, ago(Date.now() / 1000 - item.since)];
    [...texts, ...figures, item.node].forEach((text, place) => setText(made[place + 1], text));
    made[6].classList.toggle("bad", item.dropped > 0);
    details.hidden = !open;
    const now = open ? JSON.stringify([item.subscriptions, item.user_agent, operate]) : "";
    if (now !== shown) inside.replaceChildren(...(open ? detailsOf(item) : []));
    shown = now;
  };
  return { nodes: [row, details], update };
}

function detailsOf(item) {
  const buttons = element("p", { class: "row-actions" });
  if (operate) {
    const who = item.user || "the client";
    buttons.append(button("Disconnect", () => ask(`Disconnect ${who}?`, "The connection is closed. Most clients connect again at once.", () => act("disconnect", { connection: item.id }, `${who} was disconnected.`))));
    if (item.user) buttons.append(button("Ban the user…", () => banDialog("user", item.user)));
    if (item.address) buttons.append(button("Ban the address…", () => banDialog("address", item.address)));
  }
  const facts = element("p", { class: "quiet" }, `${item.id}${item.user_agent ? ` · ${item.user_agent}` : ""}`);
  const subscriptions = element("ul", { class: "subscriptions" });
  for (const each of item.subscriptions) {
    const entry = element("li", {}, element("b", {}, each.feed), ` ${each.kind} ${each.id === each.feed ? "" : each.id} `);
    if (operate && each.kind === "features") entry.append(button("What it holds…", () => picture.open(item, each)));
    entry.append(element("pre", {}, JSON.stringify(each.filter, null, 1)));
    subscriptions.append(entry);
  }
  return [facts, buttons, subscriptions];
}

function button(text, pressed) {
  const made = element("button", { type: "button", class: "button act" }, text);
  made.addEventListener("click", pressed);
  return made;
}

const rows = new Rows(part("connections"), rowOf);

function choose(id, show = false) {
  chosen = id;
  map.mark(id, show);
  paint();
  if (!show && id) part("connections").querySelector(`[data-connection="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
}

function paint() {
  rows.show(listed.rows.map((row) => [row.id, row]));
  map.show(listed.boxes);
  map.mark(chosen);
  setText(part("total"), `${count(listed.count)} ${listed.count === 1 ? "connection" : "connections"}`);
  setText(part("none"), listed.count ? "" : "None.");
  setText(part("more-boxes"), listed.more_boxes ? `The newest ${count(listed.boxes.length)} boxes are drawn.` : "");
  setText(part("page"), `Page ${listed.page + 1} of ${count(listed.pages)}`);
  part("previous").disabled = listed.page === 0;
  part("next").disabled = listed.page + 1 >= listed.pages;
  part("pages").hidden = listed.pages === 1;
  const known = new Set([...part("node").options].map(({ value }) => value));
  for (const { id, name } of listed.nodes) if (!known.has(id)) part("node").append(element("option", { value: id }, name));
  const there = new Set(["", look.node, ...listed.nodes.map(({ id }) => id)]);
  for (const option of [...part("node").options]) if (!there.has(option.value)) option.remove();
}

function lookFor(changes) {
  Object.assign(look, { page: 0 }, changes);
  if (channel.state === "joined") push("look", look).catch((error) => say("error", error.message));
}

// -- bans ---------------------------------------------------------------------

const bans = new Rows(part("bans"), ({ name }) => {
  const made = ["Who", "Until", "Reason", "By"].map((heading) => element("td", { "data-heading": heading }));
  const lift = element("td", { class: "actions" });
  const row = element("tr", { "data-ban": name }, ...made, lift);
  const update = (ban) => {
    const until = new Date(ban.until * 1000).toLocaleString();
    [`${ban.kind} ${ban.label}`, until, ban.reason || "–", ban.by].forEach((text, place) => setText(made[place], text));
    if (operate && !lift.firstChild) lift.append(button("Lift", () => act("lift", { name }, `The ban of ${ban.label} was lifted.`)));
  };
  return { nodes: [row], update };
});

function banDialog(kind, value) {
  const form = part("ban").querySelector("form");
  form.elements.kind.value = kind;
  form.elements.value.value = value;
  setText(form.querySelector("[role=alert]"), "");
  part("ban").showModal();
  form.elements[value ? "reason" : "value"].focus();
}

part("ban").querySelector("form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const { kind, value, seconds, reason } = submitted.target.elements;
  const wanted = { kind: kind.value, value: value.value.trim(), seconds: Number(seconds.value), reason: reason.value.trim() };
  const problem = await act("ban", wanted, `${wanted.value} is banned.`);
  if (problem) setText(submitted.target.querySelector("[role=alert]"), problem);
  else part("ban").close();
});

let confirmed = () => {};
function ask(title, text, then) {
  confirmed = then;
  setText(part("confirm").querySelector("h2"), title);
  setText(part("confirm").querySelector("p"), text);
  part("confirm").returnValue = "no";
  part("confirm").showModal();
}
part("confirm").addEventListener("close", () => part("confirm").returnValue === "yes" && confirmed());
for (const button of document.querySelectorAll("dialog [data-cancel]")) button.addEventListener("click", () => button.closest("dialog").close("no"));

// -- the topic ------------------------------------------------------------------

channel.on("connections", (found) => {
  listed = found;
  look.page = found.page;
  paint();
});
channel.on("bans", ({ bans: found }) => {
  bans.show((found ?? []).map((ban) => [ban.name, ban]));
  setText(part("no-bans"), found === null ? "Redis does not answer: bans are as they were, and cannot be changed." : found.length ? "" : "Nobody is banned.");
});
const stale = () => part("content-main").classList.toggle("stale", channel.state !== "joined");
channel.onError(stale);
channel.onClose((payload) => payload?.reason && setText(part("refusal"), inWords(payload)));
channel
  .join()
  .receive("ok", (answer) => {
    operate = answer.operate;
    part("looking").hidden = operate;
    part("ban-somebody").hidden = !operate;
    setText(part("refusal"), "");
    stale();
    lookFor({});
  })
  .receive("error", (refusal) => setText(part("refusal"), inWords(refusal)));

let typing = null;
part("find").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => lookFor({ find: target.value.trim() }), 250);
});
for (const name of ["dialect", "node", "order"]) part(name).addEventListener("change", ({ target }) => lookFor({ [name]: target.value }));
part("previous").addEventListener("click", () => lookFor({ page: listed.page - 1 }));
part("next").addEventListener("click", () => lookFor({ page: listed.page + 1 }));
part("ban-somebody").addEventListener("click", () => banDialog("address", ""));
setInterval(paint, 5000);
connect();
