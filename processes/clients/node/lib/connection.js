// A connection to a server: JSON-RPC 2.0 in both directions over one WebSocket.

import WebSocket from "ws";
import { Code, Offline, RpcError, WorkerRefused } from "./errors.js";

const SUBPROTOCOL = "ogc-worker.v1+json";
const ANSWER_MS = 45_000; // a server whose database restarts answers when it is back
const LARGEST_FRAME = 64 * 1024 * 1024;

export class Connection {
  #socket;
  #handle;
  #numbers = 0;
  #asked = new Map();

  /** Connect. `WorkerRefused` if the server does not take the token, `Offline` if there is no server. */
  static open(url, token, handle) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, SUBPROTOCOL, {
        headers: { authorization: `Bearer ${token}` },
        perMessageDeflate: false,
        maxPayload: LARGEST_FRAME,
        handshakeTimeout: 10_000,
      });
      socket.once("open", () => resolve(new Connection(socket, handle)));
      socket.once("unexpected-response", (_, response) => {
        const refused = [400, 401, 403, 404].includes(response.statusCode);
        const text = `${url} answered with HTTP status ${response.statusCode}`;
        reject(refused ? new WorkerRefused(`${text}: the token, or the address, is wrong`, response.statusCode) : new Offline(text));
        socket.terminate();
      });
      socket.on("error", (error) => reject(new Offline(`cannot connect to ${url}: ${error.message || error.code}`)));
    });
  }

  constructor(socket, handle) {
    this.#socket = socket;
    this.#handle = handle;
    /** Resolves with an `Offline` that has the close code. */
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        const offline = new Offline(`the connection was closed: ${code} ${reason}`, code);
        for (const { reject } of this.#asked.values()) reject(offline);
        this.#asked.clear();
        resolve(offline);
      });
    });
    socket.on("message", (data) => this.#take(data));
  }

  /** The server's answer. `RpcError` if it refuses, `Offline` if there is none. */
  call(method, params, ms = ANSWER_MS) {
    const id = ++this.#numbers;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new Offline(`the server did not answer ${method}`));
      }, ms);
      const settle = (done) => (value) => {
        clearTimeout(timer);
        done(value);
      };
      this.#asked.set(id, { resolve: settle(resolve), reject: settle(reject) });
      try {
        this.#send({ id, method, params });
      } catch (error) {
        this.#asked.delete(id);
        settle(reject)(error);
      }
    });
  }

  /** Say something that is not answered. `Offline`. */
  notify(method, params) {
    this.#send({ method, params });
  }

  close() {
    this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), 2000).unref();
  }

  #send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Offline();
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  #take(data) {
    const message = JSON.parse(data.toString());
    if (message.method !== undefined) {
      this.#answer(message);
      return;
    }
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (asked === undefined) return;
    if (message.error) asked.reject(new RpcError(message.error.code, message.error.message, message.error.data));
    else asked.resolve(message.result);
  }

  #answer({ id, method, params }) {
    let answer;
    try {
      answer = { result: this.#handle(method, params ?? {}) ?? null };
    } catch (error) {
      const code = error instanceof RpcError ? error.code : Code.INTERNAL;
      answer = { error: { code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) } };
    }
    if (id === undefined) return;
    try {
      this.#send({ id, ...answer });
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
    }
  }
}
