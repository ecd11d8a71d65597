/** The tables of processes, topics and connections. All text is set as text: names are whatever clients chose. */
import { element, setText } from "../map/dom.js";
import { ago, bytes, count, rate } from "./figures.js";
import { Rows } from "./rows.js";

/** A row of cells under headings, which narrow windows show beside each cell. */
function cells(headings) {
  const row = element("tr");
  const made = headings.map(([heading, kind]) => element(kind === "name" ? "th" : "td", { "data-heading": heading, class: kind ?? "" }));
  made[0].setAttribute("scope", "row");
  row.append(...made);
  return { row, made };
}

const set = (made, texts) => texts.forEach((text, place) => setText(made[place], text));

function button(text, label, pressed) {
  const made = element("button", { type: "button", class: "button act", "aria-label": label }, text);
  made.addEventListener("click", pressed);
  return made;
}

export function nodesTable(body) {
  const headings = [
    ["Process", "name"],
    ["Up for", "number"],
    ["Sockets"],
    ["Topics", "number"],
    ["In /s", "number"],
    ["Out /s", "number"],
    ["Dropped", "number"],
    ["Closed as slow", "number"],
    ["Waiting", "number"],
    ["Redis"],
  ];
  return new Rows(body, () => {
    const { row, made } = cells(headings);
    const update = (node) => {
      row.classList.toggle("silent", node.silent);
      row.title = node.node;
      const sockets = Object.entries(node.sockets).map(([dialect, number]) => `${count(number)} ${dialect}`);
      const redis = node.silent ? "no report" : node.redis ? `connected${node.gaps ? `, ${node.gaps} gaps` : ""}` : "not connected";
      made[9].classList.toggle("bad", !node.redis || node.silent);
      const figures = [count(node.topics), rate(node.in), rate(node.out), count(node.dropped), count(node.slow), bytes(node.waiting)];
      const up = ago(Date.now() / 1000 - node.started);
      set(made, [`${node.host}:${node.pid}`, up, sockets.join(", ") || "none", ...figures, redis]);
    };
    return { nodes: [row], update };
  });
}

export function feedsTable(body) {
  const headings = [
    ["Feed", "name"],
    ["Changes /s", "number"],
    ["Lag", "number"],
    ["Subscriptions", "number"],
    ["Length", "number"],
    ["Size", "number"],
  ];
  return new Rows(body, () => {
    const { row, made } = cells(headings);
    const update = (feed) => {
      const length = feed.length === null ? "log" : count(feed.length);
      set(made, [feed.feed, rate(feed.rate), count(feed.lag), count(feed.views), length, feed.bytes === null ? "–" : bytes(feed.bytes)]);
      made[2].classList.toggle("bad", feed.lag > 1000);
    };
    return { nodes: [row], update };
  });
}

/** @param {{kick(agent: string, topic: string, user: string): void, broadcast(topic: string): void}} commands null: may not act */
export function topicsTable(body, commands) {
  const headings = [
    ["Topic", "name"],
    ["Members", "number"],
    ["Said /s", "number"],
    ["Delivered /s", "number"],
    ["Dropped", "number"],
    ["", "actions"],
  ];
  return new Rows(body, ({ topic }) => {
    const { row, made } = cells(headings);
    const toggle = element("button", { type: "button", class: "fold", "aria-expanded": "false" });
    toggle.append(element("span", {}, topic));
    made[0].append(toggle);
    const chips = element("ul", { class: "agents" });
    const details = element("tr", { class: "details", hidden: "" }, element("td", { colspan: String(headings.length) }, chips));
    let last = null;
    toggle.addEventListener("click", () => {
      details.hidden = !details.hidden;
      toggle.setAttribute("aria-expanded", String(!details.hidden));
      showAgents();
    });
    made[5].append(button("Broadcast", `Broadcast on ${topic}`, () => commands.broadcast(topic)));
    const agents = new Rows(chips, (member) => agentChip(topic, member, commands));
    const update = (shown) => {
      const figures = [count(shown.count), rate(shown.said), rate(shown.delivered), count(shown.dropped)];
      figures.forEach((text, place) => setText(made[place + 1], text));
      made[5].hidden = !commands.allowed;
      made[4].classList.toggle("bad", shown.dropped > 0);
      last = shown;
      showAgents();
    };
    const showAgents = () => {
      if (details.hidden) return; // of folded topics there may be many
      const note = last.agents === null ? "Its members are not listed." : last.count ? null : "Nobody is here.";
      const listed = [...(last.agents ?? [])].map(([agent, user]) => [agent, { agent, user }]);
      agents.show(note ? [["", { note }]] : listed);
    };
    return { nodes: [row, details], update };
  });
}

function agentChip(topic, { agent, user, note }, commands) {
  if (note) return { nodes: [element("li", { class: "note" }, note)], update() {} };
  const name = element("b");
  const chip = element("li", { class: "agent" }, name, element("code", {}, agent));
  const kick = button("Kick", `Kick ${user || agent}`, () => commands.kick(agent, topic, name.textContent));
  chip.append(kick);
  const update = (member) => {
    setText(name, member.user || "(no name)");
    kick.hidden = !commands.allowed;
  };
  return { nodes: [chip], update };
}

export function socketsTable(body, commands) {
  const headings = [
    ["User", "name"],
    ["Address"],
    ["Dialect"],
    ["Topics", "topics"],
    ["Waiting", "number"],
    ["Since", "number"],
    ["Process"],
    ["", "actions"],
  ];
  return new Rows(body, ({ id }) => {
    const { row, made } = cells(headings);
    const end = button("Disconnect", "", () => commands.disconnect(id, made[0].textContent));
    made[7].append(end);
    const update = (socket) => {
      const more = socket.topic_count - socket.topics.length;
      const topics = socket.topics.join(", ") + (more > 0 ? ` and ${more} more` : "");
      const waiting = socket.queue ? `${count(socket.queue)} (${bytes(socket.queue_bytes)})` : "0";
      const since = ago(Date.now() / 1000 - socket.since);
      set(made, [socket.who || "anonymous", socket.address, socket.dialect, topics || "none", waiting, since, socket.process]);
      made[3].title = topics;
      made[7].hidden = !commands.allowed;
      end.setAttribute("aria-label", `Disconnect ${socket.who || "anonymous"}, ${socket.address}`);
      row.title = socket.id;
    };
    return { nodes: [row], update };
  });
}
