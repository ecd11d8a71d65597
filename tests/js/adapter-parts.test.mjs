import assert from "node:assert/strict";
import { test } from "node:test";

import { Frames } from "../../streaming/static/streaming/adapters/frames.js";
import { withVersion } from "../../streaming/static/streaming/adapters/tile-watch.js";
import { ViewFollower, boxOf } from "../../streaming/static/streaming/adapters/view.js";

const frame = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Frames that note what they are given, and take so many milliseconds for each key. */
function noting({ budget = 6, takes = 0, ready }) {
  const steps = [];
  const step = (keys) => {
    steps.push(keys);
    const end = performance.now() + takes * keys.length;
    while (performance.now() < end);
  };
  return { frames: new Frames({ budget, step, ready }), steps };
}

test("a key that is added again before its turn has one turn", async () => {
  const { frames, steps } = noting({});
  frames.add(["a", "b"]);
  frames.add(["a", "c"]);
  await frame();
  assert.deepEqual(steps, [["a", "b", "c"]]);
});

test("work that costs more than the budget is spread over frames", async () => {
  const { frames, steps } = noting({ budget: 2, takes: 0.05 });
  frames.add(Array.from({ length: 1000 }, (_, number) => number));
  while (frames.size > 0) await frame();
  assert.equal(steps.flat().length, 1000);
  assert.ok(steps.slice(2).every((keys) => keys.length <= 80), String(steps.map((keys) => keys.length)));
});

test("nothing is done until who does it is ready", async () => {
  let isReady = false;
  const { frames, steps } = noting({ ready: () => isReady });
  frames.add(["a"]);
  await frame();
  await frame();
  assert.deepEqual(steps, []);
  isReady = true;
  while (steps.length === 0) await frame();
  assert.deepEqual(steps, [["a"]]);
});

test("work that was stopped is not done", async () => {
  const { frames, steps } = noting({});
  frames.add(["a"]);
  frames.stop();
  await frame();
  await frame();
  assert.deepEqual(steps, []);
});

for (const [bounds, box] of [
  [
    [5, 45, 11, 48],
    [5, 45, 11, 48],
  ],
  [
    [-190, -95, 200, 95],
    [-180, -90, 180, 90],
  ],
  [
    [170, 0, 190, 10],
    [170, 0, -170, 10],
  ],
  [
    [365, 45, 371, 48],
    [5, 45, 11, 48],
  ],
  [
    [170, 0, 180, 10],
    [170, 0, 180, 10],
  ],
]) {
  test(`bounds ${bounds} are the box ${box}`, () => assert.deepEqual(boxOf(bounds), box));
}

/** A follower of a view that tests move, and what it has asked for. */
function following(options) {
  const view = { bounds: [0, 0, 10, 10], zoom: 5 };
  const asked = [];
  const follower = new ViewFollower(
    () => view,
    (box, zoom) => asked.push({ box, zoom }),
    options,
  );
  follower.follow();
  return { view, asked, follower };
}

test("a view is asked for with a margin", () => {
  assert.deepEqual(following({ padding: 0.5 }).asked, [{ box: [-5, -5, 15, 15], zoom: 5 }]);
});

test("nothing is asked for while the view stays in what was asked for", () => {
  const { view, asked, follower } = following({ padding: 0.5 });
  view.bounds = [4, 4, 14, 14];
  follower.follow();
  assert.equal(asked.length, 1);
  view.bounds = [6, 4, 16, 14];
  follower.follow();
  assert.deepEqual(asked[1].box, [1, -1, 21, 19]);
});

test("a small part of what was asked for is asked for anew", () => {
  const { view, asked, follower } = following({ padding: 0.5 });
  view.bounds = [4, 4, 8, 8];
  follower.follow();
  assert.deepEqual(asked[1].box, [2, 2, 10, 10]);
});

test("another zoom is asked for where it matters", () => {
  const zoomed = (options) => {
    const { view, asked, follower } = following(options);
    view.zoom = 6.9;
    follower.follow();
    return asked.length;
  };
  assert.deepEqual([zoomed({}), zoomed({ zoomStep: 1 }), zoomed({ zoomStep: 2 })], [1, 2, 1]);
});

test("a map that moves on and on asks now and then", async () => {
  const { view, asked, follower } = following({ debounce: 1 });
  while (asked.length < 3) {
    view.bounds = view.bounds.map((edge) => edge + 5);
    follower.moved();
    await frame();
  }
  follower.moved();
  follower.stop();
});

for (const [url, version, expected] of [
  ["/tiles/a/{z}/{x}/{y}.png", "v1", "/tiles/a/{z}/{x}/{y}.png?version=v1"],
  ["/tiles/a/{z}/{x}/{y}.png?version=v1", "v2", "/tiles/a/{z}/{x}/{y}.png?version=v2"],
  ["/t.png?token=x&version=v1", null, "/t.png?token=x"],
  ["/t.png?token=x", "a/b", "/t.png?token=x&version=a%2Fb"],
]) {
  test(`${url} of version ${version} is ${expected}`, () => assert.equal(withVersion(url, version), expected));
}
