// A worker in Node.js: see README.md.
export { BadInput, JobCancelled, JobFailed, WorkerRefused } from "./lib/errors.js";
export { Worker } from "./lib/worker.js";
