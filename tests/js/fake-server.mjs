/**
 * A scripted peer on a real WebSocket: answers handshakes and pings, records everything else, and says what the test tells it to say.
 */
import { once } from "node:events";
import { createServer } from "node:http";

import { decode, encode } from "@msgpack/msgpack";
import { WebSocketServer } from "ws";

export class FakeServer {
  received = [];
  upgrades = [];
  sockets = [];
  answersPings = true;
  /** What is answered over HTTP, by path; all else is 404. @type {Map<string, Uint8Array>} */
  files = new Map();
  /** What was asked for over HTTP. */
  requests = [];
  #waiting = [];

  static async start() {
    const server = new FakeServer();
    server.http = createServer((request, response) => server.#answer(request, response)).listen(0, "127.0.0.1");
    await once(server.http, "listening");
    server.wss = new WebSocketServer({ server: server.http });
    server.url = `ws://127.0.0.1:${server.http.address().port}/ws`;
    server.wss.on("connection", (socket, request) => server.#serve(socket, request));
    return server;
  }

  async stop() {
    for (const socket of this.wss.clients) socket.terminate();
    this.wss.close();
    this.http.closeAllConnections();
    this.http.close();
    await once(this.http, "close");
  }

  get socket() {
    return this.sockets.at(-1);
  }

  send(message, format = this.socket.format) {
    this.socket.send(format === "Json" ? JSON.stringify(message) : encode(message));
  }

  ack(id, fields = {}) {
    this.send({ type: "ack", request_id: id, success: true, message: null, cursor: null, snapshot_count: 0, ...fields });
  }

  feature(id, change_type, feature, fields = {}) {
    this.send({
      type: "feature_data",
      subscription_id: id,
      geojson: JSON.stringify(feature),
      change_type,
      layer: "vehicles",
      id: feature.id,
      cursor: null,
      reason: null,
      ...fields,
    });
  }

  /** The next message of this type that has not been taken yet. */
  async next(type) {
    for (;;) {
      const place = this.received.findIndex((message) => message.type === type);
      if (place >= 0) return this.received.splice(place, 1)[0];
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  #answer(request, response) {
    this.requests.push(request);
    const file = this.files.get(request.url);
    response.writeHead(file ? 200 : 404).end(file);
  }

  #serve(socket, request) {
    socket.format = "Json";
    this.sockets.push(socket);
    this.upgrades.push(request.url);
    socket.on("message", (data, isBinary) => this.#hear(socket, isBinary ? decode(data) : JSON.parse(data)));
  }

  #hear(socket, message) {
    if (message.type === "handshake") {
      this.send({ type: "handshake_ack", version: 1, format: message.format, compression: message.compression }, message.format);
      socket.format = message.format;
    }
    if (message.type === "ping" && this.answersPings) this.send({ type: "pong", id: message.id });
    this.received.push(message);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

export const point = (id, x, properties = {}) => ({ type: "Feature", id, geometry: { type: "Point", coordinates: [x, 0] }, properties });

/** The detail of the next event of this type. */
export const nextEvent = (target, type) =>
  new Promise((resolve) => target.addEventListener(type, ({ detail }) => resolve(detail), { once: true }));

/** Resolves when the client is in this state. */
export function inState(client, state) {
  if (client.state === state) return Promise.resolve({ state });
  return new Promise((resolve) => {
    client.addEventListener("state", function watch({ detail }) {
      if (detail.state !== state) return;
      client.removeEventListener("state", watch);
      resolve(detail);
    });
  });
}

/** Resolves when this is true, which nothing tells. */
export async function until(condition) {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
