/** Work that is done in frames: in order, all of it, and a few milliseconds at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWork } from "../../streaming/static/streaming/map/frame-work.js";

/** Frames that come when the test says so. */
function frames() {
  const waiting = [];
  globalThis.requestAnimationFrame = (run) => waiting.push(run);
  return { waiting, next: () => waiting.shift()() };
}

function busy(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test("little work is done in one frame, in order", () => {
  const [{ waiting, next }, done] = [frames(), []];
  const work = new FrameWork((item) => done.push(item));
  work.add([1, 2]);
  work.add([3]);
  assert.equal(work.idle, false);
  next();
  assert.deepEqual([done, work.idle, waiting.length], [[1, 2, 3], true, 0]);
});

test("much work is spread over frames of a few milliseconds", () => {
  const [{ waiting, next }, done] = [frames(), []];
  const work = new FrameWork((item) => {
    busy(2);
    done.push(item);
  });
  work.add([1, 2, 3, 4, 5, 6, 7, 8]);
  next();
  assert.ok(done.length > 0 && done.length < 8);
  while (waiting.length > 0) next();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6, 7, 8]);
});
