/** What the operators' page makes of what the topic `admin` tells. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, bytes, rate } from "../../streaming/static/streaming/operators/figures.js";
import { problemsWith } from "../../streaming/static/streaming/operators/problems.js";
import { Model, SILENT_AFTER } from "../../streaming/static/streaming/operators/model.js";

const report = (node, fields = {}) => ({
  node,
  host: "h",
  pid: 1,
  sockets: { phoenix: 1 },
  in: 1,
  out: 2,
  dropped: 0,
  waiting: 0,
  gaps: 0,
  busiest: [],
  feeds: [],
  newest: [],
  ...fields,
});
const busy = (topic, fields) => ({ topic, members: 1, said: 0, delivered: 0, dropped: 0, ...fields });

test("members are known by the names that came with them", () => {
  const model = new Model();
  model.apply("channel.list", { channel: "r", agents: ["a:r:1"], users: ["alice"], count: 1 });
  model.apply("channel.join", { channel: "r", agent: "b:r:1", user: "bob", agents: ["a:r:1", "b:r:1"], count: 2 });
  assert.deepEqual([...model.topics.get("r").agents], [["a:r:1", "alice"], ["b:r:1", "bob"]]);
  model.apply("channel.leave", { channel: "r", agent: "a:r:1", user: "alice", agents: ["b:r:1"], count: 1 });
  assert.deepEqual([...model.topics.get("r").agents], [["b:r:1", "bob"]]);
  model.apply("channel.remove", { channel: "r" });
  assert.equal(model.topics.size, 0);
});

test("of large topics only the number is known", () => {
  const model = new Model();
  model.apply("channel.list", { channel: "r", agents: [], users: [], count: 500 });
  assert.equal(model.topicRows(0)[0].agents, null);
  model.apply("channel.join", { channel: "r", agent: "x:r:1", user: "x", count: 501 });
  assert.equal(model.topicRows(0)[0].agents, null);
  assert.equal(model.topicRows(0)[0].count, 501);
});

test("a message that two processes tell was said once and delivered twice", () => {
  const model = new Model();
  model.report(report("1", { busiest: [busy("r", { said: 5, delivered: 50, dropped: 1 })] }), 0);
  model.report(report("2", { busiest: [busy("r", { said: 5, delivered: 10, dropped: 2 })] }), 0);
  const [{ said, delivered, dropped, count }] = model.topicRows(0);
  assert.deepEqual({ said, delivered, dropped, count }, { said: 5, delivered: 60, dropped: 3, count: 2 });
});

test("a topic that was removed is gone, though a process reported on it before", () => {
  const model = new Model();
  model.apply("channel.list", { channel: "r", agents: ["a:r:1"], users: ["alice"], count: 1 });
  model.report(report("1", { busiest: [busy("r"), busy("s")] }), 0);
  model.apply("channel.remove", { channel: "r" });
  assert.deepEqual(model.topicRows(0).map(({ topic }) => topic), ["s"]);
});

test("rates that are not known yet are not zero", () => {
  const model = new Model();
  model.report(report("1", { in: null, out: null, busiest: [busy("r", { said: null, delivered: null })] }), 0);
  assert.equal(model.totals(0).in, null);
  assert.equal(model.topicRows(0)[0].said, null);
  assert.equal(rate(null), "–");
});

test("topics that are not listed any more are gone, those that came meanwhile stay", () => {
  const model = new Model();
  for (const channel of ["old", "kept"]) model.apply("channel.list", { channel, agents: [], users: [], count: 0 });
  model.beginList();
  model.apply("channel.list", { channel: "kept", agents: [], users: [], count: 0 });
  model.apply("channel.join", { channel: "new", agent: "a:new:1", user: "a", agents: ["a:new:1"], count: 1 });
  model.endList();
  assert.deepEqual([...model.topics.keys()], ["kept", "new"]);
});

test("a list that ends after everything was told anew takes nothing away", () => {
  const model = new Model();
  model.beginList();
  model.reset();
  model.apply("channel.list", { channel: "kept", agents: [], users: [], count: 0 });
  model.endList();
  assert.deepEqual([...model.topics.keys()], ["kept"]);
});

test("a growing number of gaps says that something may have been missed", () => {
  const model = new Model();
  assert.equal(model.report(report("1", { gaps: 3 }), 0), false);
  assert.equal(model.report(report("1", { gaps: 3 }), 0), false);
  assert.equal(model.report(report("1", { gaps: 4 }), 0), true);
});

test("a process that does not report is silent, and forgotten in the end", () => {
  const model = new Model();
  model.report(report("1"), 0);
  assert.equal(model.nodeRows(SILENT_AFTER)[0].silent, false);
  assert.equal(model.nodeRows(SILENT_AFTER + 1)[0].silent, true);
  model.report(report("1", { busiest: [busy("r")] }), 0);
  assert.equal(model.topicRows(SILENT_AFTER).length, 1);
  assert.equal(model.topicRows(SILENT_AFTER + 1).length, 0);
  model.forgetSilent(60_001);
  assert.equal(model.nodes.size, 0);
});

test("connections without a user are called by the names they have on topics", () => {
  const model = new Model();
  const socket = { id: "n.1", name: "abc", user: "", topics: ["r"], topic_count: 1, since: 1 };
  model.report(report("1", { newest: [socket, { ...socket, id: "n.2", name: "def", user: "root", since: 2 }] }), 0);
  model.apply("channel.list", { channel: "r", agents: ["abc:r:1"], users: ["alice"], count: 1 });
  assert.deepEqual(
    model.socketRows(0).map(({ who }) => who),
    ["root", "alice"],
  );
});

test("names are never looked up in plain objects", () => {
  const model = new Model();
  model.apply("channel.list", { channel: "__proto__", agents: ["c:__proto__:1"], users: ["constructor"], count: 1 });
  assert.equal(model.topicRows(0)[0].topic, "__proto__");
});

test("figures are for people", () => {
  assert.deepEqual([rate(0), rate(2.34), rate(12_345.6)], ["0", "2.3", "12,346"]);
  assert.deepEqual([bytes(0), bytes(1023), bytes(1536), bytes(5 * 1024 ** 4)], ["0 B", "1023 B", "1.5 KB", "5120.0 GB"]);
  assert.deepEqual([ago(-1), ago(61), ago(7200), ago(200_000)], ["0 s", "1 min", "2 h", "2 d"]);
});

test("an alert about what the processes found is in the same line", () => {
  const found = [
    { level: "note", text: "h:1 stopped.", chart: "", measure: "lost", process: "h:1" },
    { level: "note", text: "h:2 was stopped.", chart: "", measure: "", process: "" },
  ];
  const silent = { rule: "Process silent", message: "Process silent (all processes): 1, above 0", severity: "critical", measure: "lost", where: "" };
  assert.deepEqual(problemsWith(found, [silent]).map(({ level, text }) => [level, text]), [
    ["bad", "h:1 stopped. (alert: Process silent)"],
    ["note", "h:2 was stopped."],
  ]);
  assert.equal(found[0].level, "note");
});

test("an alert about another process, or another measure, has its own line", () => {
  const found = [{ level: "bad", text: "h:1 is late.", chart: "Event loop", measure: "late", process: "h:1" }];
  const elsewhere = { rule: "Late", message: "Late (h:2): 1", severity: "warning", measure: "late", where: "h:2" };
  const other = { rule: "Backlog", message: "Backlog (all): 9", severity: "info", measure: "backlog", where: "" };
  assert.deepEqual(problemsWith(found, [elsewhere, other]).map(({ text }) => text), ["h:1 is late.", "Alert: Late (h:2): 1", "Alert: Backlog (all): 9"]);
});
