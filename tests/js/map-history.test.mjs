/** The curves of a card: what a feature's numbers were in the last minutes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { curve, FeatureHistory } from "../../streaming/static/streaming/map/feature-history.js";

const MINUTE = 60_000;

test("numbers are kept with their times, and nothing else", () => {
  const history = new FeatureHistory({ speed: 1, name: "A" }, 0);
  history.add({ speed: 2, name: "B" }, 1_000);
  assert.deepEqual(history.of("speed", 1_000), [
    { time: 0, value: 1 },
    { time: 1_000, value: 2 },
  ]);
  assert.deepEqual(history.of("name", 1_000), []);
});

test("of what comes many times a second the last one of about a second is kept, and the newest", () => {
  const history = new FeatureHistory({ speed: 0 }, 0);
  for (let now = 100; now <= 5_000; now += 100) history.add({ speed: now }, now);
  const samples = history.of("speed", 5_000);
  assert.ok(samples.length >= 5 && samples.length <= 8, String(samples.length));
  assert.equal(samples.at(-1).value, 5_000);
});

test("a history is bounded, in number and in time", () => {
  const history = new FeatureHistory({ speed: 0 }, 0);
  for (let at = 1; at <= 500; at += 1) history.add({ speed: at }, at * 2_000);
  const samples = history.of("speed", 1_000_000);
  assert.deepEqual([samples.length, samples[0].value, samples.at(-1).value], [48, 453, 500]);
  assert.deepEqual(history.of("speed", 1_000_000 + 11 * MINUTE), []);
});

test("a number that is missing for a time leaves no point", () => {
  const history = new FeatureHistory({ speed: 1 }, 0);
  history.add({}, 2_000);
  history.add({ speed: 3 }, 4_000);
  assert.deepEqual(
    history.of("speed", 4_000).map(({ value }) => value),
    [1, 3],
  );
});

test("a curve goes from corner to corner, and what stays the same has none", () => {
  const samples = (...values) => values.map((value, at) => ({ time: at * 1_000, value }));
  assert.equal(curve(samples(0, 5, 10), 50, 10), "M0.0 10.0L25.0 5.0L50.0 0.0");
  assert.equal(curve(samples(7, 7, 7), 50, 10), "");
  assert.equal(curve(samples(1, 2), 50, 10), "");
});
