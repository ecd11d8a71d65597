/**
 * Follows the folder over `/ws/files`, and goes on where it was after a break.
 * Events: `state` (connecting, open, reconnecting, refused), `subscribed` ({seq, epoch}), `operation` ({operation, seq}), and `resync` if what was missed is
 * not known any more: everything is to be listed again.
 */
import { Backoff } from "../client/backoff.js";
import { gettext } from "../map/gettext.js";

const PING_EVERY = 30_000;
const SILENT_AFTER = 75_000;
/** The close code of a client that must not come back. */
const REPLACED = 4409;

export class FolderSocket extends EventTarget {
  state = "connecting";
  /** Why it was refused. */
  refusal = "";
  #url;
  #socket = null;
  #backoff = new Backoff();
  #clientId = `page-${Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  #place = null;
  #heard = 0;

  /** @param {string} path of the endpoint, on this site */
  constructor(path) {
    super();
    this.#url = new URL(path, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    setInterval(() => this.#beat(), PING_EVERY);
  }

  connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.addEventListener("open", () => this.#subscribe());
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.#closed(code));
  }

  #subscribe() {
    const { seq: since, epoch } = this.#place ?? {};
    this.#send({ type: "Subscribe", client_id: this.#clientId, features: ["seq", "epoch"], ...(this.#place && { since, epoch }) });
  }

  #receive(message) {
    this.#heard = Date.now();
    if (message.type === "Ack" && message.operation_id === "subscribe") this.#subscribed(message);
    else if (message.type === "FileOperation") this.#announced(message);
    else if (message.type === "Error" && this.state !== "open") this.#refused(message);
    else if (message.type === "Error" && message.code === "forbidden") this.#refused(message);
  }

  #subscribed({ seq, epoch, resync }) {
    const first = this.#place === null;
    if (first || resync) this.#place = { seq, epoch };
    this.#backoff.reset();
    this.#enter("open");
    if (first) this.dispatchEvent(new CustomEvent("subscribed", { detail: { seq, epoch } }));
    else if (resync) this.dispatchEvent(new Event("resync"));
  }

  #announced({ operation, seq }) {
    this.#place.seq = Math.max(this.#place.seq, seq);
    this.dispatchEvent(new CustomEvent("operation", { detail: { operation, seq } }));
  }

  #refused({ message }) {
    this.refusal = message;
    this.#enter("refused");
    this.#socket.close();
  }

  #closed(code) {
    if (this.state === "refused") return;
    if (code === REPLACED) {
      this.#refused({ message: gettext("This page is open elsewhere.") });
      return;
    }
    this.#enter("reconnecting");
    setTimeout(() => this.connect(), this.#backoff.next());
  }

  #beat() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (Date.now() - this.#heard > SILENT_AFTER) this.#socket.close();
    else this.#send({ type: "Ping" });
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #enter(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
