/** JSON Schema, 2020-12. */
export type Schema = Record<string, unknown>;

export interface Input {
  title?: string;
  description?: string;
  schema: Schema;
  minOccurs?: number;
  /** Above 1 the function is given a list. */
  maxOccurs?: number | "unbounded";
}

export interface Output {
  title?: string;
  description?: string;
  schema: Schema;
}

/** A process as clients read it, and how its jobs are treated. */
export interface ProcessOptions {
  id: string;
  /** A process that changes in what it says has to have a new one. */
  version: string;
  title?: string;
  description?: string;
  keywords?: string[];
  jobControlOptions?: ("sync-execute" | "async-execute" | "dismiss")[];
  outputTransmission?: ("value" | "reference")[];
  inputs?: Record<string, Input>;
  outputs?: Record<string, Output>;
  /** `safe`: begun again on another worker when one was lost. Default: `never`. */
  retry?: "never" | "safe";
  maxAttempts?: number;
  queueSeconds?: number;
  runSeconds?: number;
  /** Jobs of this process at once. */
  concurrency?: number;
  /** Its jobs run until they are dismissed. */
  continuous?: boolean;
  /** What follows a result that its schema refuses. Default: `fail`. */
  resultCheck?: "fail" | "warn";
}

/** One execution. Methods that report throw `JobCancelled` when it is not wanted any more. */
export interface Job {
  readonly id: string;
  readonly process: string;
  /** 1, unless a worker was lost that had begun it. */
  readonly attempt: number;
  /** The server's id of the user whose job it is. */
  readonly user: string | null;
  readonly deadline: Date | null;
  /** What the attempt before this one has given to `checkpoint` last. */
  readonly lastCheckpoint: unknown;
  /** Aborted when the job is not wanted any more. */
  readonly signal: AbortSignal;
  readonly cancelled: boolean;
  check(): void;
  progress(percent: number, message?: string): void;
  log(level: "debug" | "info" | "warning" | "error", message: string): Promise<void>;
  partial(output: string, value: unknown): Promise<void>;
  checkpoint(data: unknown): Promise<void>;
  sleep(ms: number): Promise<void>;
}

export interface WorkerOptions {
  /** The same at each start, and of no other worker with the token. */
  name?: string;
  /** Default: GEOSTREAM_WORKER_URL. */
  url?: string;
  /** Default: GEOSTREAM_WORKER_TOKEN. */
  token?: string;
  /** Jobs at once; default: as many as there are processors. */
  concurrency?: number;
  log?: (level: "info" | "warning", text: string) => void;
}

/** Binary inputs (`contentEncoding: "binary"`) are Buffers; Buffers and Uint8Arrays that are returned are binary outputs. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Inputs = Record<string, any>;
export type Outputs = Record<string, unknown>;

export class Worker {
  constructor(options?: WorkerOptions);
  process(options: ProcessOptions, run: (inputs: Inputs, job: Job) => Outputs | void | Promise<Outputs | void>): this;
  /** Serves until `stop`; throws `WorkerRefused`. */
  run(): Promise<void>;
  stop(drainMs?: number): Promise<void>;
}

export class JobFailed extends Error {
  constructor(detail: string, options?: { title?: string; status?: number; type?: string; retryable?: boolean });
}

export class BadInput extends JobFailed {
  constructor(detail: string, input?: string);
}

export class JobCancelled extends Error {
  readonly reason: string;
}

export class WorkerRefused extends Error {
  readonly code: number;
  readonly data: unknown;
}
