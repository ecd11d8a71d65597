import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import * as msgpack from "@msgpack/msgpack";
import * as fzstd from "fzstd";
import WebSocket from "ws";

import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, inState, nextEvent, point } from "./fake-server.mjs";

let server;
let client;

beforeEach(async () => {
  server = await FakeServer.start();
});

afterEach(async () => {
  client?.close();
  await server.stop();
});

async function connect(options = {}) {
  client = new GeoStreamClient(server.url, { WebSocket, backoff: { initial: 1, max: 5 }, ...options });
  await client.connect();
  return client;
}

/** A ready subscription that holds features "a" (x = 1) and "b" (x = 2) and the cursor e:2. */
async function vehicles(options = {}) {
  const subscription = client.subscribeFeatures("vehicles", options);
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:2", snapshot_count: 2 });
  server.feature(subscription.id, "added", point("a", 1));
  server.feature(subscription.id, "added", point("b", 2), { cursor: "e:2" });
  await subscription.whenReady();
  return subscription;
}

/** A zstd frame (RFC 8878) that holds a short text in one raw block. */
function zstdStored(text) {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  const singleSegment = 0x20;
  const lastRawBlock = (text.length << 3) | 1;
  return Buffer.concat([Buffer.from([...magic, singleSegment, text.length, lastRawBlock & 255, lastRawBlock >> 8, 0]), Buffer.from(text)]);
}

test("a handshake comes first", async () => {
  await connect();
  assert.deepEqual(await server.next("handshake"), { type: "handshake", version: 1, format: "Json", compression: "None" });
});

test("options become the keys of the protocol", async () => {
  await connect();
  client.subscribeFeatures("vehicles", {
    bbox: [1, 2, 3, 4],
    filterLang: "cql2-text",
    filter: "a > 1",
    maxRate: 2,
    minDistance: 50,
    batch: true,
    center: [8.5, 47.4],
    radiusM: 500,
    filters: { kind: "bus" },
  });
  assert.deepEqual(await server.next("subscribe_features"), {
    type: "subscribe_features",
    subscription_id: "features-1",
    layer: "vehicles",
    bbox: [1, 2, 3, 4],
    filters: [["kind", "bus"]],
    filter: "a > 1",
    filter_lang: "cql2-text",
    center: [8.5, 47.4],
    radius_m: 500,
    max_rate: 2,
    min_distance: 50,
    batch: true,
  });
});

test("the collection follows the changes", async () => {
  await connect();
  const subscription = await vehicles();
  server.feature(
    subscription.id,
    "deleted",
    { type: "Feature", id: "a", geometry: null, properties: {} },
    { cursor: "e:3", reason: "left_view" },
  );
  const change = await nextEvent(subscription, "change");
  assert.deepEqual([change.type, change.id, change.layer, change.reason], ["deleted", "a", "vehicles", "left_view"]);
  assert.deepEqual([...subscription.features.keys()], ["b"]);
  assert.equal(subscription.cursor, "e:3");
});

test("the changes of one message come as one array", async () => {
  await connect();
  const subscription = await vehicles({ batch: true });
  server.send({
    type: "feature_data",
    subscription_id: subscription.id,
    change_type: "updated",
    layer: "vehicles",
    id: null,
    cursor: "e:4",
    reason: null,
    geojson: JSON.stringify({ type: "FeatureCollection", features: [point("a", 3), point("b", 4)] }),
  });
  const changes = await nextEvent(subscription, "changes");
  assert.deepEqual(
    changes.map(({ id }) => id),
    ["a", "b"],
  );
});

test("after a lost connection the subscription resumes from its cursor", async () => {
  await connect();
  const subscription = await vehicles();
  server.socket.close(1012);
  assert.equal((await server.next("subscribe_features")).cursor, "e:2");
  server.ack(subscription.id, { cursor: "e:3", snapshot_count: 1, recovered: true });
  server.feature(subscription.id, "updated", point("b", 5), { cursor: "e:3" });
  await nextEvent(subscription, "ready");
  assert.equal(subscription.get("b").geometry.coordinates[0], 5);
  assert.equal(subscription.get("a").geometry.coordinates[0], 1);
});

test("an unrecovered snapshot replaces the collection and reports only what differs", async () => {
  await connect();
  const subscription = await vehicles();
  const changes = [];
  subscription.addEventListener("change", ({ detail }) => changes.push([detail.type, detail.id, detail.reason]));
  server.socket.close(4513);
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "f:9", snapshot_count: 2, recovered: false });
  server.feature(subscription.id, "added", point("b", 2));
  server.feature(subscription.id, "added", point("c", 3), { cursor: "f:9" });
  await nextEvent(subscription, "ready");
  assert.deepEqual(changes, [
    ["added", "c", null],
    ["deleted", "a", "resync"],
  ]);
  assert.equal(subscription.cursor, "f:9");
});

test("an empty unrecovered snapshot empties the collection", async () => {
  await connect();
  const subscription = await vehicles();
  server.socket.close(1012);
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "f:1", snapshot_count: 0, recovered: false });
  await nextEvent(subscription, "ready");
  assert.equal(subscription.features.size, 0);
});

test("a snapshot that was cut off is asked for anew", async () => {
  await connect();
  const subscription = client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:2", snapshot_count: 2 });
  server.feature(subscription.id, "added", point("a", 1));
  await nextEvent(subscription, "change");
  server.socket.terminate();
  assert.equal("cursor" in (await server.next("subscribe_features")), false);
});

test("an update sends only what changed, and is part of what is asked for later", async () => {
  await connect();
  const subscription = await vehicles({ filter: "a > 1" });
  subscription.update({ bbox: [0, 0, 1, 1] });
  assert.deepEqual(await server.next("update_subscription"), {
    type: "update_subscription",
    subscription_id: subscription.id,
    bbox: [0, 0, 1, 1],
  });
  server.socket.terminate();
  const again = await server.next("subscribe_features");
  assert.deepEqual([again.bbox, again.filter, "cursor" in again], [[0, 0, 1, 1], "a > 1", false]);
});

test("an aggregate is asked for, and its answer kept", async () => {
  await connect();
  const subscription = client.subscribeFeatures("vehicles", { aggregate: { by: "h3", zoom: 7.5, properties: ["speed"] } });
  assert.deepEqual((await server.next("subscribe_features")).aggregate, { by: "h3", zoom: 7.5, properties: ["speed"] });
  server.ack(subscription.id, { snapshot_count: 0, aggregate: { by: "h3", resolution: 4, properties: ["speed"] }, matched: 1234 });
  await subscription.whenReady();
  assert.deepEqual([subscription.matched, subscription.aggregate.resolution], [1234, 4]);
  subscription.update({ aggregate: null });
  assert.equal((await server.next("update_subscription")).aggregate, null);
  server.ack(subscription.id, { snapshot_count: 0 });
  await nextEvent(subscription, "ready");
  assert.deepEqual([subscription.matched, subscription.aggregate], [null, null]);
});

test("a refused update leaves the subscription as it was", async () => {
  await connect();
  const subscription = await vehicles();
  subscription.update({ filter: "((" });
  await server.next("update_subscription");
  server.ack(subscription.id, { success: false, code: "invalid_filter", message: "cannot be read" });
  assert.equal((await nextEvent(subscription, "error")).code, "invalid_filter");
  server.socket.terminate();
  assert.equal("filter" in (await server.next("subscribe_features")), false);
});

test("a condition that is refused after a reconnection is given up", async () => {
  await connect();
  const subscription = await vehicles();
  server.socket.terminate();
  await inState(client, "reconnecting");
  subscription.update({ filter: "((" });
  assert.equal((await server.next("subscribe_features")).filter, "((");
  server.ack(subscription.id, { success: false, code: "invalid_filter", message: "cannot be read" });
  assert.equal("filter" in (await server.next("subscribe_features")), false);
});

test("a refused subscription ends", async () => {
  await connect();
  const subscription = client.subscribeFeatures("nothing");
  await server.next("subscribe_features");
  server.ack(subscription.id, { success: false, code: "unknown_layer", message: "there is no layer" });
  await assert.rejects(subscription.whenReady(), { code: "unknown_layer" });
  assert.equal(subscription.closed, true);
});

test("a refusal that passes is tried again", async () => {
  await connect();
  const subscription = client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  server.ack(subscription.id, { success: false, code: "redis_unavailable", message: "Redis does not answer" });
  await server.next("subscribe_features");
  assert.equal(subscription.closed, false);
});

test("unsubscribing resolves with the server's ack and frees the id", async () => {
  await connect();
  const subscription = await vehicles({ id: "mine" });
  const ended = subscription.unsubscribe();
  assert.throws(() => client.subscribeFeatures("vehicles", { id: "mine" }), { code: "duplicate_subscription" });
  await server.next("unsubscribe");
  server.ack("mine");
  await ended;
  client.subscribeFeatures("vehicles", { id: "mine" });
});

test("a subscription can be ended by its id", async () => {
  await connect();
  const subscription = await vehicles({ id: "mine" });
  const ended = client.unsubscribe("mine");
  assert.equal((await server.next("unsubscribe")).subscription_id, "mine");
  server.ack("mine");
  await ended;
  assert.equal(subscription.closed, true);
  await client.unsubscribe("mine");
});

test("async iteration gives every change and stops with the subscription", async () => {
  await connect();
  const subscription = client.subscribeFeatures("vehicles");
  const iterator = subscription[Symbol.asyncIterator]();
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:1", snapshot_count: 1 });
  server.feature(subscription.id, "added", point("a", 1), { cursor: "e:1" });
  assert.equal((await iterator.next()).value.id, "a");
  subscription.unsubscribe();
  assert.equal((await iterator.next()).done, true);
});

test("a loop that is too slow learns how many changes it missed", async () => {
  await connect();
  const subscription = client.subscribeFeatures("vehicles", { queueSize: 2 });
  const iterator = subscription[Symbol.asyncIterator]();
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:5", snapshot_count: 5 });
  for (const id of [1, 2, 3, 4, 5]) server.feature(subscription.id, "added", point(id, id));
  await subscription.whenReady();
  const { value } = await iterator.next();
  assert.deepEqual([value.id, value.gap], [4, 3]);
});

test("events resume from their cursor", async () => {
  await connect();
  const subscription = client.subscribeEvents(["custom"]);
  assert.deepEqual((await server.next("subscribe_events")).event_types, ["custom"]);
  server.ack(subscription.id, { cursor: "e:1", snapshot_count: 0 });
  server.send({
    type: "event",
    subscription_id: subscription.id,
    event_type: "custom",
    payload: { a: 1 },
    timestamp: "2026-01-01T00:00:00Z",
    cursor: "e:2",
    gap: 3,
  });
  assert.deepEqual(await nextEvent(subscription, "event"), {
    type: "custom",
    payload: { a: 1 },
    timestamp: "2026-01-01T00:00:00Z",
    gap: 3,
    cursor: "e:2",
  });
  server.socket.terminate();
  assert.equal((await server.next("subscribe_events")).cursor, "e:2");
});

test("a 44xx close is final and says why", async () => {
  await connect();
  const closed = nextEvent(client, "closed");
  server.socket.close(4403, "the Origin is not allowed");
  assert.deepEqual(await closed, { code: 4403, reason: "the Origin is not allowed" });
  assert.equal(client.state, "closed");
});

test("an expired login is tried once more when there is a new token to show", async () => {
  const tokens = ["old", "new"];
  await connect({ getToken: () => tokens.shift() });
  assert.equal((await server.next("authenticate")).token, "old");
  server.socket.close(4401, "expired");
  assert.equal((await server.next("authenticate")).token, "new");
});

test("subscriptions wait for the login", async () => {
  await connect({ token: "jwt" });
  client.subscribeFeatures("vehicles");
  const { request_id } = await server.next("authenticate");
  assert.equal(
    server.received.some(({ type }) => type === "subscribe_features"),
    false,
  );
  server.send({ type: "ack", request_id, success: true, message: null });
  await server.next("subscribe_features");
});

test("a ticket is asked for before every connection", async () => {
  let count = 0;
  await connect({ getTicket: async () => `t${++count}` });
  server.socket.terminate();
  await inState(client, "reconnecting");
  await inState(client, "open");
  assert.deepEqual(server.upgrades, ["/ws?ticket=t1", "/ws?ticket=t2"]);
});

test("the wait before a reconnection is announced", async () => {
  await connect();
  server.socket.terminate();
  const state = await inState(client, "reconnecting");
  assert.ok(state.retryAt >= Date.now() - 1000 && state.delay <= 5);
});

test("a silent connection is given up and replaced", async () => {
  await connect({ pingInterval: 20, pingTimeout: 20 });
  server.answersPings = false;
  await inState(client, "reconnecting");
  server.answersPings = true;
  await inState(client, "open");
  assert.equal(server.sockets.length, 2);
});

test("ping resolves with the round trip", async () => {
  await connect();
  assert.ok((await client.ping()) >= 0);
});

test("a ping of the server is answered", async () => {
  await connect();
  server.send({ type: "ping", id: 42 });
  assert.deepEqual(await server.next("pong"), { type: "pong", id: 42 });
});

test("the server's list of subscriptions is returned", async () => {
  await connect();
  const list = client.listSubscriptions();
  const { request_id } = await server.next("list_subscriptions");
  server.send({ type: "subscriptions", request_id, subscriptions: [{ subscription_id: "x" }] });
  assert.deepEqual(await list, [{ subscription_id: "x" }]);
});

test("MessagePack is spoken when asked for", async () => {
  await connect({ format: "MessagePack", msgpack });
  const subscription = await vehicles();
  assert.equal(subscription.features.size, 2);
});

test("a library may be given as a function, which is called when it is needed", async () => {
  let loads = 0;
  const load = async () => {
    loads += 1;
    return msgpack;
  };
  await connect({ msgpack: load });
  assert.equal(loads, 0);
  client.close();
  await connect({ format: "MessagePack", msgpack: load });
  assert.equal((await vehicles()).features.size, 2);
  assert.equal(loads, 1);
});

test("zstd frames are unwrapped", async () => {
  await connect({ compression: "Zstd", fzstd });
  server.socket.send(zstdStored(JSON.stringify({ type: "ping", id: 9 })));
  assert.deepEqual(await server.next("pong"), { type: "pong", id: 9 });
});

test("a frame that cannot be read is an error, not the end", async () => {
  await connect();
  const error = nextEvent(client, "error");
  server.socket.send("{");
  assert.equal((await error).code, "bad_frame");
  assert.equal(client.state, "open");
});
