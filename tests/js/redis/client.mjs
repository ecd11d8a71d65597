/**
 * Does with the npm package "mobility-toolbox-js" what it is told, a JSON object a line: {"id": 1, "call": "subscribe", ...}. What comes of
 * it is a line {"id": 1, "is": ...}; what happens by itself is a line {"on": "message", ...}. What the package keeps to itself, such as PONG,
 * is seen as {"on": "frame", ...}, which is told for all that arrives.
 */
import { register } from "node:module";
import { createInterface } from "node:readline";

import WebSocket from "ws";

register("./hooks.mjs", import.meta.url);
globalThis.window = globalThis; // where the package looks for a browser's names
globalThis.WebSocket = WebSocket;
const { RealtimeAPI } = await import("mobility-toolbox-js/api");

const apis = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** The package makes a new WebSocket for each connection. */
function watch(socket, name) {
  socket.addEventListener("open", () => say({ on: "open", socket: name }));
  socket.addEventListener("error", () => {}); // ws throws without; a browser does not
  socket.addEventListener("close", ({ code }) => say({ on: "close", socket: name, code }));
  socket.addEventListener("message", ({ data }) => {
    const { source, content } = JSON.parse(data);
    say({ on: "frame", socket: name, source, content });
  });
}

class Api extends RealtimeAPI {
  open() {
    super.open();
    watch(this.wsApi.websocket, this.name);
  }
}

const calls = {
  connect({ socket: name, url, options = {} }) {
    const api = new Api({ url, ...options });
    api.name = name;
    apis.set(name, api);
    api.open();
    return new Promise((resolve) => api.wsApi.websocket.addEventListener("open", () => resolve(null)));
  },

  subscribe({ socket, channel }) {
    apis.get(socket).subscribe(channel, ({ content }) => say({ on: "message", socket, channel, content }));
  },

  unsubscribe({ socket, channel }) {
    apis.get(socket).wsApi.unsubscribe(channel);
  },

  async get({ socket, params }) {
    const { source, content, client_reference: reference } = await apis.get(socket).get(params);
    return { source, content, reference };
  },

  show({ socket, bbox }) {
    apis.get(socket).bbox = bbox;
  },

  reset({ socket }) {
    apis.get(socket).reset();
  },

  clear() {
    for (const api of apis.values()) {
      api.reconnectTimeoutMs = 0;
      clearInterval(api.pingInterval);
      api.close();
    }
    apis.clear();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, ...rest } = JSON.parse(line);
  Promise.resolve(calls[call](rest)).then((is) => say({ id, is: is ?? null }));
}
process.exit();
