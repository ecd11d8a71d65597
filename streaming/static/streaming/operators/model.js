/** What the topic `admin` tells, put together: processes, topics with their members, connections. Knows nothing of the page. */

/** A process that has not reported for so long is shown as silent, then not at all. */
export const SILENT_AFTER = 7_000;
const FORGOTTEN_AFTER = 60_000;

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

export class Model {
  /** Reports of processes, with when they came. @type {Map<string, any>} */
  nodes = new Map();
  /** @type {Map<string, {topic: string, count: number, agents: Map<string, string> | null}>} */
  topics = new Map();
  #listed = null;

  /** Forget everything: it is told anew. */
  reset() {
    this.nodes.clear();
    this.topics.clear();
    this.#listed = null;
  }

  /** All topics are about to be listed again; `endList` forgets those that were not. */
  beginList() {
    this.#listed = new Set();
  }

  endList() {
    if (!this.#listed) return; // everything was told anew meanwhile
    for (const topic of this.topics.keys()) if (!this.#listed.has(topic)) this.topics.delete(topic);
    this.#listed = null;
  }

  /** @returns {boolean} whether messages may have been missed, so that the list of topics is worth asking for */
  report(stats, now) {
    const before = this.nodes.get(stats.node);
    this.nodes.set(stats.node, { ...stats, at: now });
    return before !== undefined && stats.gaps > before.gaps;
  }

  /** @param {string} event one of `channel.*` */
  apply(event, told) {
    const { channel } = told;
    this.#listed?.add(channel);
    if (event === "channel.remove") {
      this.topics.delete(channel);
      for (const node of this.nodes.values()) node.busiest = node.busiest.filter(({ topic }) => topic !== channel); // of before
      return;
    }
    const topic = this.topics.get(channel) ?? { topic: channel, count: 0, agents: new Map() };
    this.topics.set(channel, topic);
    if (event === "channel.add") return;
    topic.count = told.count ?? told.agents?.length ?? topic.count;
    topic.agents = agentsOf(told, topic.agents);
  }

  /** @param {number} now */
  forgetSilent(now) {
    for (const [id, node] of this.nodes) if (now - node.at > FORGOTTEN_AFTER) this.nodes.delete(id);
  }

  #heard(now) {
    return [...this.nodes.values()].filter((node) => !isSilent(node, now));
  }

  // -- as tables ---------------------------------------------------------

  nodeRows(now) {
    return [...this.nodes.values()]
      .map((node) => ({ ...node, silent: isSilent(node, now) }))
      .sort((a, b) => a.host.localeCompare(b.host) || a.pid - b.pid);
  }

  /** Every topic, those first where most is delivered. A message is said in each process that has members there: once, that is. */
  topicRows(now) {
    const rows = new Map([...this.topics.values()].map((topic) => [topic.topic, { ...topic, said: null, delivered: null, dropped: 0 }]));
    for (const { topic, members, said, delivered, dropped } of this.#heard(now).flatMap(({ busiest }) => busiest)) {
      if (!rows.has(topic)) rows.set(topic, { topic, count: 0, agents: null, unlisted: true, said: null, delivered: null, dropped: 0 });
      const row = rows.get(topic);
      if (row.unlisted) row.count += members;
      row.said = said === null ? row.said : Math.max(row.said ?? 0, said);
      row.delivered = delivered === null ? row.delivered : (row.delivered ?? 0) + delivered;
      row.dropped += dropped;
    }
    const weight = (row) => row.delivered ?? 0;
    return [...rows.values()].sort((a, b) => weight(b) - weight(a) || b.count - a.count || (a.topic < b.topic ? -1 : 1));
  }

  /** Every feed that a process follows. What all processes hold is held once in Redis: its length is not added up; its views are. */
  feedRows(now) {
    const rows = new Map();
    for (const told of this.#heard(now).flatMap(({ feeds = [] }) => feeds)) {
      const row = rows.get(told.feed) ?? { feed: told.feed, rate: null, lag: 0, views: 0, length: null, bytes: null };
      rows.set(told.feed, row);
      row.views += told.views;
      for (const name of ["rate", "lag", "length", "bytes"]) row[name] = told[name] === null ? row[name] : Math.max(row[name] ?? 0, told[name]);
    }
    return [...rows.values()].sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.views - a.views || (a.feed < b.feed ? -1 : 1));
  }

  /** The newest connections of every process, each with the names under which it is on topics. */
  socketRows(now) {
    const names = new Map();
    for (const { agents } of this.topics.values()) {
      for (const [agent, user] of agents ?? []) {
        const connection = agent.split(":", 1)[0];
        if (!names.has(connection)) names.set(connection, new Set());
        if (user) names.get(connection).add(user);
      }
    }
    return this.#heard(now)
      .flatMap(({ newest, host, pid }) => newest.map((socket) => ({ ...socket, process: `${host}:${pid}` })))
      .map((socket) => ({ ...socket, who: socket.user || [...(names.get(socket.name) ?? [])].join(", ") }))
      .sort((a, b) => b.since - a.since);
  }

  totals(now) {
    const nodes = this.#heard(now);
    return {
      nodes: nodes.length,
      sockets: sum(nodes.flatMap(({ sockets }) => Object.values(sockets))),
      topics: this.topicRows(now).length,
      members: sum([...this.topics.values()].map(({ count }) => count)),
      in: nodes.some((node) => node.in !== null) ? sum(nodes.map((node) => node.in)) : null,
      out: nodes.some((node) => node.out !== null) ? sum(nodes.map(({ out }) => out)) : null,
      dropped: sum(nodes.map(({ dropped }) => dropped)),
      waiting: sum(nodes.map(({ waiting }) => waiting)),
    };
  }
}

const isSilent = (node, now) => now - node.at > SILENT_AFTER;

function agentsOf(told, before) {
  if (!told.agents || told.agents.length < told.count) return null; // too many to be named
  const users = new Map(told.users ? told.agents.map((agent, place) => [agent, told.users[place]]) : []);
  return new Map(told.agents.map((agent) => [agent, users.get(agent) ?? (agent === told.agent ? told.user : before?.get(agent)) ?? ""]));
}
