// The worker in Node.js that the tests run.
import { appendFileSync } from "node:fs";
import { BadInput, JobFailed, Worker, WorkerRefused } from "../../../processes/clients/node/index.js";

const [name, concurrency] = process.argv.slice(2);
const worker = new Worker({ name, concurrency: Number(concurrency) });
const text = { schema: { type: "string" } };
const number = { schema: { type: "number" }, minOccurs: 0 };
const binary = { schema: { type: "string", contentEncoding: "binary", contentMediaType: "application/octet-stream" } };

const work = async ({ record, seconds = 0 }, job) => {
  appendFileSync(record, `begin ${job.id} ${process.pid}\n`);
  job.progress(10, "at work");
  await job.log("info", "begun");
  await job.sleep(seconds * 1000);
  appendFileSync(record, `end ${job.id} ${process.pid}\n`);
  return { text: `done by ${process.pid}` };
};
const shape = { version: "1.0.0", inputs: { record: text, seconds: number }, outputs: { text } };
worker.process({ ...shape, id: "node-once" }, work);
worker.process({ ...shape, id: "node-safely", retry: "safe" }, work);
worker.process({ id: "node-copy", version: "1.0.0", inputs: { data: binary, times: number }, outputs: { data: binary } }, ({ data, times }) => ({
  data: Buffer.concat(Array(times ?? 1).fill(data)),
}));
worker.process({ id: "node-repeat", version: "1.0.0", inputs: { text, times: number }, outputs: { text } }, ({ text, times }) => ({ text: text.repeat(times) }));
worker.process({ id: "node-fail", version: "1.0.0", inputs: { how: text }, outputs: {} }, ({ how }) => {
  if (how === "input") throw new BadInput("there is no such way", "how");
  if (how === "job") throw new JobFailed("not today", { title: "Closed", status: 422 });
  throw new TypeError("it is broken");
});
worker.process({ id: "ticks", version: "2.0.0", continuous: true, inputs: { record: text }, outputs: {} }, async ({ record }, job) => {
  for (let tick = (job.lastCheckpoint ?? 0) + 1; ; tick++) {
    appendFileSync(record, `tick ${tick}\n`);
    await job.checkpoint(tick);
    await job.sleep(50);
  }
});

process.once("SIGTERM", () => worker.stop());
try {
  await worker.run();
} catch (error) {
  console.error(error.message);
  process.exitCode = error instanceof WorkerRefused ? 1 : 2;
}
process.exit();
