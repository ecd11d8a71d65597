/** What charts show of the frames that the topic `monitor` tells. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Series, summary } from "../../streaming/static/streaming/operators/series.js";

const OPEN = { title: "Open", unit: "", rate: false, over: "sum", lines: [{ measure: "open", label: "", split: "dialect", help: "" }] };
const LATE = { title: "Late", unit: "s", rate: false, over: "max", lines: [{ measure: "late", label: "late by", split: "", help: "" }] };
const report = (name, values) => ({ name, started: 0, at: 0, values });
const frame = (at, total, nodes = {}) => ({ at, count: 1, total, nodes });

test("a label's values are lines of their own", () => {
  const series = new Series("5m", 5);
  series.append(frame(5, { "open|geo": 3 }));
  series.append(frame(10, { "open|geo": 4, "open|redis": 1 }));
  assert.deepEqual(series.lines(OPEN), [{ label: "geo", values: [3, 4] }, { label: "redis", values: [0, 1] }]);
});

test("what was never told is one line of zeros", () => {
  const series = new Series("5m", 5);
  series.append(frame(5, {}));
  assert.deepEqual(series.lines(OPEN), [{ label: "none", values: [0] }]);
  assert.deepEqual(series.lines(LATE), [{ label: "late by", values: [0] }]);
});

test("a process has one line in each chart, and none while it is not there", () => {
  const series = new Series("5m", 5);
  series.append(frame(5, {}, { a: report("h:1", { "open|geo": 3, "open|redis": 1 }) }));
  series.append(frame(10, {}, { a: report("h:1", {}), b: report("h:2", { "open|geo": 2 }) }));
  series.append(frame(15, {}, { b: report("h:2", { "open|geo": 2 }) }));
  assert.deepEqual(series.byProcess(OPEN), [{ label: "h:1", values: [4, 0, null] }, { label: "h:2", values: [null, 2, 2] }]);
});

test("a process that was told before and is silent now ends its line", () => {
  const series = new Series("5m", 5);
  series.load({ times: [5], total: {}, nodes: { a: { name: "h:1", lines: { late: [0.2] } } } });
  series.append(frame(10, {}));
  assert.deepEqual(series.byProcess(LATE), [{ label: "h:1", values: [0.2, null] }]);
});

test("a gap in time is a gap in the line", () => {
  const series = new Series("5m", 5);
  for (const at of [5, 10, 60]) series.append(frame(at, { late: 1 }));
  assert.deepEqual(series.withGaps(series.lines(LATE)), [[5, 10, 15, 60], [1, 1, null, 1]]);
});

test("what is older than the period is gone", () => {
  const series = new Series("5m", 5);
  for (const at of [100, 200, 450]) series.append(frame(at, { late: at }));
  assert.deepEqual(series.lines(LATE)[0].values, [200, 450]);
});

test("a frame that is there already is left out", () => {
  const series = new Series("5m", 5);
  series.append(frame(5, {}));
  series.append(frame(5, {}));
  assert.equal(series.times.length, 1);
});

test("measures are added up over what they are split by", () => {
  const series = new Series("5m", 5);
  series.append(frame(5, { "open|geo": 3, "open|redis": 1, late: 9 }));
  assert.deepEqual(series.sum(["open"]), [4]);
});

test("gaps are no part of a mean", () => {
  assert.deepEqual(summary([2, null, 4]), { now: 4, mean: 3, most: 4 });
  assert.deepEqual(summary([null]), { now: null, mean: null, most: null });
});
