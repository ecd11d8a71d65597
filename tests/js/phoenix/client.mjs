/**
 * Does with the npm package "phoenix" what it is told, a JSON object a line: {"id": 1, "call": "join", ...}. What comes of it is a line
 * {"id": 1, "is": ...}; what happens by itself is a line {"on": "message", ...}. Bytes are written as {"hex": "..."}.
 *
 * Its argument is the package, of which more than one version is installed.
 */
import { createInterface } from "node:readline";

import WebSocket from "ws";

import { XMLHttpRequest } from "./xhr.mjs";

const name = process.argv[2];
globalThis.self = globalThis; // where the package looks for a browser's names
if (name !== "phoenix") globalThis.XMLHttpRequest = XMLHttpRequest;
const { LongPoll, Presence, Socket } = await import(name);

const TRANSPORTS = { websocket: WebSocket, longpoll: LongPoll };
const sockets = new Map();
const channels = new Map();

const hex = (data) => (data instanceof ArrayBuffer ? { hex: Buffer.from(data).toString("hex") } : data);
const unhex = (data) => (data?.hex === undefined ? data : new Uint8Array(Buffer.from(data.hex, "hex")).buffer);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** A function that gives one value after the other, and the last one for ever. */
function eachIn(values) {
  let next = 0;
  return () => values[Math.min(next++, values.length - 1)];
}

const answerTo = (push) =>
  new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, hex(response)]));
  });

const disconnected = (socket) => new Promise((resolve) => socket.disconnect(resolve));

const calls = {
  connect({ socket: name, url, transport = "websocket", authToken, options = {} }) {
    const socket = new Socket(url, {
      transport: TRANSPORTS[transport],
      reconnectAfterMs: () => 100,
      rejoinAfterMs: () => 100,
      ...(authToken === undefined ? {} : { authToken: eachIn(authToken) }),
      ...options,
    });
    sockets.set(name, socket);
    socket.onClose((event) => say({ on: "close", socket: name, code: event.code, reason: event.reason }));
    return new Promise((resolve) => {
      socket.onOpen(() => {
        say({ on: "open", socket: name });
        resolve(null);
      });
      socket.connect();
    });
  },

  /** `params` is a list: each join takes the next. */
  join({ socket, topic, params = [{}], events = [], presence = false }) {
    const channel = sockets.get(socket).channel(topic, eachIn(params));
    const about = { socket, topic };
    channels.set(`${socket} ${topic}`, channel);
    for (const event of events) channel.on(event, (payload) => say({ on: "message", ...about, event, payload: hex(payload) }));
    channel.onError((reason) => say({ on: "error", ...about, reason: typeof reason === "object" ? (reason?.reason ?? "") : reason }));
    channel.onClose(() => say({ on: "closed", ...about }));
    if (presence) {
      const seen = new Presence(channel);
      seen.onSync(() => say({ on: "presence", ...about, keys: seen.list((key, { metas }) => [key, metas.length]) }));
      seen.onJoin((key, before) => before ?? say({ on: "arrived", ...about, key }));
      seen.onLeave((key, { metas }) => metas.length || say({ on: "left", ...about, key }));
    }
    return answerTo(channel.join().receive("ok", () => say({ on: "joined", ...about })));
  },

  push: ({ socket, topic, event, payload }) => answerTo(channels.get(`${socket} ${topic}`).push(event, unhex(payload))),
  leave: ({ socket, topic }) => answerTo(channels.get(`${socket} ${topic}`).leave()),
  state: ({ socket, topic }) => channels.get(`${socket} ${topic}`).state,
  disconnect: ({ socket }) => disconnected(sockets.get(socket)),

  async clear() {
    await Promise.all([...sockets.values()].map(disconnected));
    sockets.clear();
    channels.clear();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, ...rest } = JSON.parse(line);
  Promise.resolve(calls[call](rest)).then((is) => say({ id, is: is ?? null }));
}
process.exit();
