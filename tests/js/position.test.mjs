import assert from "node:assert/strict";
import { test } from "node:test";

import { Position } from "../../streaming/static/streaming/client/position.js";

const subscribed = (perLayer = false, cursor = null) => {
  const position = new Position(perLayer, cursor);
  position.requested();
  return position;
};

test("the cursor of an ack without a snapshot holds at once", () => {
  const position = subscribed();
  assert.equal(position.acknowledged({ cursor: "e:5", snapshot_count: 0 }), true);
  assert.equal(position.cursor, "e:5");
});

test("the cursor of an ack holds only when the whole snapshot has arrived", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 3 });
  assert.equal(position.received(2, null), false);
  assert.equal(position.cursor, null);
  assert.equal(position.received(1, null), true);
  assert.equal(position.cursor, "e:5");
});

test("a snapshot is complete with the message that carries a cursor", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 3 });
  assert.equal(position.received(2, "e:6"), true);
  assert.equal(position.cursor, "e:6");
});

test("a live message moves the cursor", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 0 });
  position.received(1, "e:6");
  assert.equal(position.cursor, "e:6");
});

test("a snapshot that was cut off leaves no cursor", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 2 });
  position.received(1, null);
  position.lost();
  assert.equal(position.cursor, null);
});

test("a resumed difference that was applied in part leaves no cursor", () => {
  const position = subscribed(false, "e:5");
  position.acknowledged({ cursor: "e:9", snapshot_count: 2, recovered: true });
  position.received(1, null);
  assert.equal(position.cursor, null);
  position.lost();
  assert.equal(position.cursor, null);
});

test("a resumed difference of which nothing arrived leaves the old cursor", () => {
  const position = subscribed(false, "e:5");
  position.acknowledged({ cursor: "e:9", snapshot_count: 2, recovered: true });
  position.lost();
  assert.equal(position.cursor, "e:5");
});

test("an update forgets the cursor until one arrives after its ack", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 0 });
  position.forget();
  position.requested();
  position.received(1, "e:6");
  assert.equal(position.cursor, null);
  position.acknowledged({ cursor: "e:7", snapshot_count: 1 });
  assert.equal(position.cursor, null);
  position.received(1, null);
  assert.equal(position.cursor, "e:7");
});

test("of two updates only the ack of the last gives a cursor", () => {
  const position = subscribed();
  position.acknowledged({ cursor: "e:5", snapshot_count: 0 });
  position.forget();
  position.requested();
  position.requested();
  position.acknowledged({ cursor: "e:6", snapshot_count: 0 });
  assert.equal(position.cursor, null);
  position.acknowledged({ cursor: "e:7", snapshot_count: 0 });
  assert.equal(position.cursor, "e:7");
});

test("a subscription to every layer has one cursor per layer", () => {
  const position = subscribed(true);
  position.acknowledged({ cursor: { a: "e:1", b: "f:2" }, snapshot_count: 2 });
  position.received(1, "e:1", "a");
  assert.equal(position.cursor, null);
  position.received(1, null, "b");
  position.received(1, "f:3", "b");
  assert.deepEqual(position.cursor, { a: "e:1", b: "f:3" });
});
