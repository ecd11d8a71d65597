// A worker: the processes of one program, offered to a server over as many connections as it takes.

import { randomUUID } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./connection.js";
import { Code, Offline, RpcError, WorkerRefused } from "./errors.js";
import { RunningJob } from "./job.js";
import { Blobs } from "./values.js";

const FINAL_CODES = [4401, 4403, 4409]; // connecting again leads to nothing
const LATE = 0.5; // the part of the time for an acknowledgement after which a job is refused: another worker may be given it

export class Worker {
  #processes = new Map();
  #running = new Map();
  #connection = null;
  #instance = randomUUID();
  #stopping = false;
  #reconnectAfter = null;
  #wake = () => {};
  #welcome = null;
  #clock = 0;

  constructor({ name, url, token, concurrency, log } = {}) {
    this.name = name ?? `${hostname()}-${process.pid}`;
    this.url = url ?? process.env.GEOSTREAM_WORKER_URL;
    this.token = token ?? process.env.GEOSTREAM_WORKER_TOKEN;
    this.concurrency = concurrency ?? availableParallelism();
    this.log = log ?? ((level, text) => console.error(`${level} ${text}`));
    this.blobs = null;
  }

  /** Offer a function. It is called with the inputs by their ids, and the job; it returns the outputs by their ids. */
  process(description, run) {
    const { retry = "never", maxAttempts = 3, queueSeconds, runSeconds, concurrency, continuous = false, resultCheck = "fail" } = description;
    const { retry: _1, maxAttempts: _2, queueSeconds: _3, runSeconds: _4, concurrency: _5, continuous: _6, resultCheck: _7, ...rest } = description;
    const control = continuous ? ["async-execute", "dismiss"] : ["sync-execute", "async-execute", "dismiss"];
    const full = { jobControlOptions: control, outputTransmission: ["value", "reference"], inputs: {}, outputs: {}, ...rest };
    const registration = { retry: { mode: retry, maxAttempts }, timeouts: { queueSeconds, runSeconds }, concurrency, continuous, resultCheck };
    this.#processes.set(full.id, { description: full, registration, run });
    return this;
  }

  /** Serve until `stop`. Throws `WorkerRefused` if the server does not take the worker. */
  async run() {
    if (!this.url || !this.token) throw new WorkerRefused("a worker needs a url and a token");
    for (let attempt = 0; !this.#stopping; ) {
      const began = performance.now();
      try {
        await this.#beConnected();
      } catch (error) {
        if (!(error instanceof Offline)) throw error;
        if (FINAL_CODES.includes(error.code)) throw new WorkerRefused(error.message, error.code);
        if (!this.#stopping) this.log("warning", error.message);
      }
      this.#connection = null;
      attempt = performance.now() - began > 10_000 ? 0 : attempt + 1;
      if (!this.#stopping) await this.#pause(attempt);
    }
  }

  /** Take no more jobs; `run` returns when those that are being done have ended, or after `drainMs`. */
  async stop(drainMs = 30_000) {
    this.#stopping = true;
    if (this.#running.size > 0) {
      await this.notify("worker.drain", { deadlineSeconds: drainMs / 1000 });
      await Promise.race([Promise.all([...this.#running.values()].map((each) => each.done)), sleep(drainMs, undefined, { ref: false })]);
    }
    this.#connection?.close();
    this.#wake();
  }

  // -- what jobs need --------------------------------------------------------

  async call(method, params) {
    if (this.#connection === null) throw new Offline();
    return this.#connection.call(method, params);
  }

  notify(method, params) {
    if (this.#connection === null) throw new Offline();
    this.#connection.notify(method, params);
  }

  /** Whether the server has not given a job to another worker because this program stood still. */
  async isCurrent(params) {
    if (!this.#isLate(params)) return true;
    const renewed = await this.#heartbeat().catch(() => []);
    return renewed.includes(params.leaseID);
  }

  // -- the connection --------------------------------------------------------

  async #pause(attempt) {
    let ms = (0.1 + 0.9 * Math.random()) * Math.min(1000 * 2 ** Math.min(Math.max(attempt - 1, 0), 16), 60_000);
    if (this.#reconnectAfter !== null) ms = this.#reconnectAfter * 1000 * (1 + Math.random() / 2);
    this.#reconnectAfter = null;
    const timer = sleep(ms, undefined, { ref: true });
    await Promise.race([timer, new Promise((resolve) => (this.#wake = resolve))]);
  }

  async #beConnected() {
    const connection = await Connection.open(this.url, this.token, (method, params) => this.#handle(method, params));
    let timer;
    try {
      await this.#introduce(connection);
      this.log("info", `${this.name} offers ${[...this.#processes.keys()].join(", ")}`);
      const beat = () => this.#heartbeat().catch(() => connection.close());
      timer = setInterval(beat, this.#welcome.heartbeatSeconds * 1000);
      if (this.#stopping) connection.close();
      throw await connection.closed;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if ([Code.RATE, Code.INTERNAL, Code.DRAINING].includes(error.code)) throw new Offline(error.message);
      throw new WorkerRefused(`the server refused this worker: ${error.message}`, error.code, error.data);
    } finally {
      clearInterval(timer);
      connection.close();
    }
  }

  async #introduce(connection) {
    const resume = [...this.#running.values()].map((each) => ({ ...each.lease, state: each.state, progress: each.percent }));
    const welcome = await connection.call("worker.hello", {
      protocol: "1.0",
      workerID: this.name,
      instanceID: this.#instance,
      software: { name: "geostream-worker-node", version: process.version },
      concurrency: this.concurrency,
      features: ["progress", "cancel", "partial", "blob"],
      resume,
    });
    this.#welcome = welcome;
    this.#clock = Date.parse(welcome.serverTime) - performance.now();
    this.blobs = new Blobs(welcome.blobURL, this.token, welcome.limits);
    const resumed = new Set(welcome.resumed.map((each) => each.leaseID));
    for (const [lease, running] of this.#running) if (!resumed.has(lease)) running.cancel("leaseLost");
    this.#connection = connection;
    for (const { description, registration } of this.#processes.values()) {
      const concurrency = Math.min(registration.concurrency ?? welcome.concurrency, welcome.concurrency);
      const answer = await connection.call("process.register", { process: description, ...registration, concurrency });
      for (const warning of answer.warnings) this.log("warning", `${description.id}: ${warning}`);
    }
  }

  async #heartbeat() {
    const jobs = [...this.#running.values()].map((each) => ({ ...each.lease, progress: each.percent }));
    const answer = await this.call("worker.heartbeat", { jobs, free: this.#free });
    for (const { leaseID, reason } of answer.lost) {
      const running = this.#running.get(leaseID);
      if (running?.state === "running") running.cancel(reason === "ended" ? "dismissed" : "leaseLost");
    }
    return answer.renewed.map((each) => each.leaseID);
  }

  // -- what the server says --------------------------------------------------

  get #room() {
    return Math.min(this.concurrency, this.#welcome?.concurrency ?? this.concurrency);
  }

  /** Jobs that are only waiting for the server to take their result need no room. */
  get #free() {
    return Math.max(0, this.#room - [...this.#running.values()].filter((each) => each.state === "running").length);
  }

  #handle(method, params) {
    if (method === "job.execute") return this.#execute(params);
    if (method === "job.cancel") {
      const running = this.#running.get(params.leaseID);
      running?.cancel(params.reason);
      return { state: running ? "cancelling" : "unknown" };
    }
    if (method === "server.drain") {
      this.#reconnectAfter = params.reconnectAfterSeconds ?? 1;
      const connection = this.#connection;
      setTimeout(() => connection?.close(), this.#reconnectAfter * 1000 * Math.random());
      return null;
    }
    throw new RpcError(Code.METHOD_NOT_FOUND, `there is no method ${method}`);
  }

  #execute(params) {
    const offered = this.#processes.get(params.processID);
    if (this.#stopping) throw new RpcError(Code.DRAINING, "this worker is about to end");
    if (offered?.description.version !== params.version) throw new RpcError(Code.BUSY, "this worker does not offer that");
    if (this.#isLate(params)) throw new RpcError(Code.BUSY, "the job was read too late", { late: true });
    if (!this.#running.has(params.leaseID)) {
      if (this.#free === 0) throw new RpcError(Code.BUSY, "this worker has no room");
      const running = new RunningJob(this, offered, params);
      this.#running.set(params.leaseID, running);
      running.done.finally(() => this.#running.delete(params.leaseID));
    }
    return { accepted: true };
  }

  #isLate(params) {
    if (params.sent === undefined) return false;
    return performance.now() + this.#clock - Date.parse(params.sent) > this.#welcome.ackSeconds * 1000 * LATE;
  }
}
