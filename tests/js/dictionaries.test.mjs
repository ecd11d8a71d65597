import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";

import * as msgpack from "@msgpack/msgpack";
import * as fzstd from "fzstd";
import WebSocket from "ws";

import { ZstdDictionary } from "../../streaming/static/streaming/client/zstd-dictionary.js";
import { GeoStreamClient } from "../../streaming/static/streaming/geostream.js";
import { FakeServer, inState, nextEvent } from "./fake-server.mjs";

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
/** What `make_dictionaries.py` makes. */
const CASES = JSON.parse(readFileSync(new URL("fixtures/dictionaries.json", import.meta.url)));
const [JSON_CASE] = CASES;
const DICTIONARY = bytes(JSON_CASE.dictionary);
const ID = new DataView(DICTIONARY.buffer, DICTIONARY.byteOffset).getUint32(4, true);
const OFFER = { type: "layer_dictionary", layer: "vehicles", id: ID, url: "/api/layers/vehicles/dictionaries/abc", size: DICTIONARY.length };

for (const { name, dictionary, frames, texts } of CASES)
  test(`frames are what they were before they were compressed: ${name}`, () => {
    const known = new ZstdDictionary(bytes(dictionary), fzstd);
    for (const [number, frame] of frames.entries()) assert.deepEqual(Buffer.from(known.decompress(bytes(frame))), Buffer.from(texts[number], "base64"));
  });

test("a frame larger than any before is decompressed, and small ones after it", () => {
  const known = new ZstdDictionary(DICTIONARY, fzstd);
  const content = new Uint8Array(100_000).fill(7);
  const size = [content.length & 255, (content.length >> 8) & 255, content.length >> 16, 0];
  const block = (content.length << 3) | 1;
  const frame = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, ...size, block & 255, (block >> 8) & 255, block >> 16]), content]);
  assert.deepEqual(known.decompress(frame), content);
  assert.deepEqual(Buffer.from(known.decompress(bytes(JSON_CASE.frames[0]))), Buffer.from(JSON_CASE.texts[0], "base64"));
});

test("what is no dictionary is refused", () => {
  const changed = (place, value) => DICTIONARY.map((byte, at) => (at === place ? value : byte));
  for (const wrong of [new Uint8Array(3), changed(0, 0), DICTIONARY.subarray(0, 40), changed(8, 255), changed(9, 15), new Uint8Array(500)])
    assert.throws(() => new ZstdDictionary(wrong, fzstd), { code: "bad_dictionary" });
});

test("a frame that lies about its size is refused", () => {
  const known = new ZstdDictionary(DICTIONARY, fzstd);
  const large = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 255, 255, 255, 255, 1, 0, 0]);
  assert.throws(() => known.decompress(large), { code: "bad_frame" });
});

let server;
let client;

beforeEach(async () => {
  server = await FakeServer.start();
  server.files.set(OFFER.url, DICTIONARY);
});

afterEach(async () => {
  client?.close();
  await server.stop();
});

async function connect(options = {}) {
  client = new GeoStreamClient(server.url, { WebSocket, fzstd, dictionaries: true, backoff: { initial: 1, max: 5 }, ...options });
  await client.connect();
}

test("who does not ask for dictionaries does not name any", async () => {
  await connect({ dictionaries: false });
  client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  assert.ok(!server.received.some(({ type }) => type === "use_dictionaries"));
});

test("without fzstd none are asked for", async () => {
  await connect({ fzstd: null });
  client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  assert.ok(!server.received.some(({ type }) => type === "use_dictionaries"));
});

test("a dictionary is fetched with the token, held, and used", async () => {
  await connect({ token: "secret" });
  assert.deepEqual(await server.next("use_dictionaries"), { type: "use_dictionaries", ids: [] });
  const { request_id } = await server.next("authenticate");
  server.ack(request_id);
  const subscription = client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:1", snapshot_count: 0 });
  server.send(OFFER);
  assert.deepEqual(await server.next("use_dictionaries"), { type: "use_dictionaries", ids: [ID] });
  assert.equal(server.requests[0].headers.authorization, "Bearer secret");
  const change = nextEvent(subscription, "change");
  server.socket.send(bytes(JSON_CASE.frames[1]));
  assert.equal((await change).id, "a-401");
});

test("what is held is named on the next connection", async () => {
  await connect();
  server.send(OFFER);
  await server.next("use_dictionaries");
  await server.next("use_dictionaries");
  const away = inState(client, "reconnecting");
  server.socket.terminate();
  await away;
  assert.deepEqual((await server.next("use_dictionaries")).ids, [ID]);
  assert.equal(server.requests.length, 1);
});

test("MessagePack is compressed as well", async () => {
  const [, { dictionary, frames }] = CASES;
  server.files.set(OFFER.url, bytes(dictionary));
  await connect({ format: "MessagePack", msgpack });
  const subscription = client.subscribeFeatures("vehicles");
  await server.next("subscribe_features");
  server.ack(subscription.id, { cursor: "e:1", snapshot_count: 0 });
  const id = new DataView(bytes(dictionary).buffer).getUint32(4, true);
  server.send({ ...OFFER, id });
  await server.next("use_dictionaries");
  await server.next("use_dictionaries");
  const change = nextEvent(subscription, "change");
  server.socket.send(bytes(frames[2]));
  assert.equal((await change).id, "a-500");
});

for (const [name, offer] of [
  ["is not there", { ...OFFER, url: "/nowhere" }],
  ["is another one", { ...OFFER, id: ID + 1 }],
  ["is on another server", { ...OFFER, url: "http://example.org/abc" }],
])
  test(`a dictionary that ${name} is an error, and messages come without it`, async () => {
    await connect();
    await server.next("use_dictionaries");
    const error = nextEvent(client, "error");
    server.send(offer);
    assert.equal((await error).code, "no_dictionary");
    await client.ping();
    assert.ok(!server.received.some(({ type }) => type === "use_dictionaries"));
  });

test("a frame made with an unknown dictionary is an error, not the end", async () => {
  await connect();
  const error = nextEvent(client, "error");
  server.socket.send(bytes(JSON_CASE.frames[0]));
  assert.equal((await error).code, "bad_frame");
  assert.equal(client.state, "open");
});

test("of a layer the last two are held", async () => {
  await connect();
  await server.next("use_dictionaries");
  const named = [];
  for (const number of [1, 2, 3]) {
    const dictionary = DICTIONARY.slice();
    new DataView(dictionary.buffer).setUint32(4, ID + number, true);
    server.files.set(`/${number}`, dictionary);
    server.send({ ...OFFER, id: ID + number, url: `/${number}` });
    named.push((await server.next("use_dictionaries")).ids.map((id) => id - ID));
  }
  assert.deepEqual(named, [[1], [1, 2], [2, 3]]);
});
