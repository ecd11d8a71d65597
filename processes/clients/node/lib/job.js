// A job that is being done: its function, and what is said of it, which is kept until the server has it.

import { setTimeout as sleep } from "node:timers/promises";
import { Code, JobCancelled, JobFailed, Offline, RpcError } from "./errors.js";
import { readInputs, writeValue } from "./values.js";

const PROGRESS_MS = 500;
const OVER = [Code.NO_SUCH_JOB, Code.LEASE_LOST, Code.JOB_ENDED];
const AGAIN = [Code.RATE, Code.INTERNAL];

/** What a function sees of its job. */
export class Job {
  #running;
  #abort = new AbortController();

  constructor(params, running) {
    this.#running = running;
    this.id = params.jobID;
    this.process = params.processID;
    this.attempt = params.attempt;
    this.user = params.context?.subject ?? null;
    this.deadline = params.deadline ? new Date(params.deadline) : null;
    this.lastCheckpoint = params.checkpoint ?? null;
    /** Aborted with a `JobCancelled` when the job is not wanted any more: pass it on to `fetch`, timers and streams. */
    this.signal = this.#abort.signal;
  }

  get cancelled() {
    return this.signal.aborted;
  }

  /** Throw `JobCancelled` if the job is not wanted any more. */
  check() {
    this.signal.throwIfAborted();
  }

  /** How far it is, from 0 to 100. What is too much is not sent. */
  progress(percent, message = undefined) {
    this.check();
    this.#running.progress(Math.max(0, Math.min(100, Math.trunc(percent))), message);
  }

  /** A line of its log; level is debug, info, warning or error. */
  log(level, message) {
    this.check();
    return this.#running.say(() => this.#running.notify("job.log", { level, message: String(message).slice(0, 10_000) }));
  }

  /** A part of an output that clients can read before the end. Resolves when it is stored. */
  partial(output, value) {
    this.check();
    return this.#running.partial(output, value);
  }

  /** Where another worker may go on, should this one be lost: it finds `data` as its `lastCheckpoint`. */
  checkpoint(data) {
    this.check();
    return this.#running.say(() => this.#running.call("job.checkpoint", { data }));
  }

  /** Wait; throws `JobCancelled` as soon as the job is not wanted any more. */
  async sleep(ms) {
    await sleep(ms, undefined, { signal: this.signal }).catch(() => {});
    this.check();
  }

  cancel(reason) {
    this.#abort.abort(new JobCancelled(reason));
  }
}

/** One job and its messages. `state` is what a worker that connects again says of it. */
export class RunningJob {
  #serving;
  #process;
  #params;
  #said = Promise.resolve();
  #parts = 0;
  #progress = null;
  #progressAt = 0;
  #timer = null;

  constructor(serving, process, params) {
    this.#serving = serving;
    this.#process = process;
    this.#params = params;
    this.lease = { jobID: params.jobID, attempt: params.attempt, leaseID: params.leaseID };
    this.state = "running";
    this.percent = 0;
    this.abandoned = false;
    this.job = new Job(params, this);
    this.done = this.#run();
  }

  cancel(reason) {
    this.abandoned = true;
    this.job.cancel(reason);
  }

  call(method, params) {
    return this.#serving.call(method, { ...this.lease, ...params });
  }

  notify(method, params = {}) {
    return this.#serving.notify(method, { ...this.lease, ...params });
  }

  /** Say something after what was said before it. */
  say(send) {
    this.#said = this.#said.then(() => this.#persist(send));
    return this.#said;
  }

  partial(output, value) {
    const seq = this.#parts++;
    const schema = this.#process.description.outputs[output]?.schema;
    return this.say(async () => {
      const part = await writeValue(value, undefined, schema, this.#serving.blobs);
      await this.call("job.output", { outputID: output, seq, part, last: false });
    });
  }

  progress(percent, message) {
    this.percent = percent;
    this.#progress = { progress: percent, ...(message === undefined ? {} : { message }) };
    this.#timer ??= setTimeout(() => this.#sendProgress(), Math.max(0, this.#progressAt + PROGRESS_MS - Date.now()));
  }

  #sendProgress() {
    this.#timer = null;
    this.#progressAt = Date.now();
    if (this.#progress !== null && !this.abandoned && this.state === "running") this.#quietly("job.progress", this.#progress);
    this.#progress = null;
  }

  #quietly(method, params = {}) {
    try {
      this.notify(method, params);
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
    }
  }

  async #persist(send) {
    while (!this.abandoned) {
      try {
        await send();
        return;
      } catch (error) {
        if (error instanceof RpcError && OVER.includes(error.code)) this.cancel("leaseLost");
        else if (error instanceof Offline) await sleep(100);
        else if (error instanceof RpcError && AGAIN.includes(error.code)) await sleep(1000);
        else throw error;
      }
    }
  }

  async #run() {
    await null; // what the server asked is answered first
    let [method, params] = await this.#outcome();
    clearTimeout(this.#timer);
    if (!this.abandoned) this.state = method === "job.result" ? "done" : "failed";
    try {
      await this.#persist(() => this.call(method, params));
    } catch (error) {
      const failure = new JobFailed(`the server refused the result: ${error.message}`, { title: "Invalid result" });
      await this.#persist(() => this.call("job.fail", { error: failure.asError() })).catch(() => {});
    }
    if (this.abandoned) this.#quietly("job.cancelled");
  }

  async #outcome() {
    try {
      if (!(await this.#serving.isCurrent(this.#params))) this.cancel("leaseLost");
      this.job.check();
      this.#quietly("job.started");
      const inputs = await readInputs(this.#process.description, this.#params.inputs, this.#serving.blobs);
      const returned = (await this.#process.run(inputs, this.job)) ?? {};
      await this.#said;
      const outputs = {};
      for (const [name, value] of Object.entries(returned)) {
        const schema = this.#process.description.outputs[name]?.schema;
        if (value !== undefined) outputs[name] = await writeValue(value, this.#params.outputs?.[name], schema, this.#serving.blobs);
      }
      return ["job.result", { outputs }];
    } catch (error) {
      const failure = error instanceof JobFailed ? error : new JobFailed(String(error?.message ?? error), { title: error?.name ?? "Error" });
      return ["job.fail", { error: failure.asError(), retryable: failure.retryable }];
    }
  }
}
