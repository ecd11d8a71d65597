// What goes wrong with a job or a worker.

/** The job cannot be done. `status` is what HTTP clients get; with `retryable` another attempt may succeed. */
export class JobFailed extends Error {
  constructor(detail, { title = "Process failed", status = 500, type = undefined, retryable = false } = {}) {
    super(detail);
    Object.assign(this, { name: "JobFailed", title, status, type, retryable });
  }

  asError() {
    return { title: this.title, status: this.status, detail: this.message, ...(this.type ? { type: this.type } : {}) };
  }
}

/** An input is wrong in a way that its schema does not show. */
export class BadInput extends JobFailed {
  constructor(detail, input = "") {
    super(detail, { title: "Invalid input", status: 400, type: "InvalidParameterValue" });
    this.name = "BadInput";
    this.input = input;
  }

  asError() {
    const inputs = this.input ? [{ input: this.input, pointer: `/inputs/${this.input}`, detail: this.message }] : [];
    return { ...super.asError(), inputs };
  }
}

/** The job is not wanted any more: it was dismissed, ran too long, or was given to another worker. */
export class JobCancelled extends Error {
  constructor(reason = "dismissed") {
    super(reason);
    Object.assign(this, { name: "JobCancelled", reason });
  }
}

/** The server does not take this worker, or a process of it, and will not later either. */
export class WorkerRefused extends Error {
  constructor(message, code = 0, data = undefined) {
    super(message);
    Object.assign(this, { name: "WorkerRefused", code, data });
  }
}

/** There is no connection now. */
export class Offline extends Error {
  constructor(message = "not connected", code = 0) {
    super(message);
    Object.assign(this, { name: "Offline", code });
  }
}

/** A request that was refused (JSON-RPC). */
export class RpcError extends Error {
  constructor(code, message, data = undefined) {
    super(message);
    Object.assign(this, { name: "RpcError", code, data });
  }
}

export const Code = {
  METHOD_NOT_FOUND: -32601,
  INTERNAL: -32603,
  NO_SUCH_JOB: -32010,
  LEASE_LOST: -32011,
  JOB_ENDED: -32012,
  BUSY: -32030,
  RATE: -32041,
  DRAINING: -32050,
};
