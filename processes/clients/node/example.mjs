// GEOSTREAM_WORKER_URL=ws://127.0.0.1:8000/ws/processes GEOSTREAM_WORKER_TOKEN=… node example.mjs
import { BadInput, Worker } from "./index.js";

const worker = new Worker({ name: "node-example" });

worker.process(
  {
    id: "line-length",
    version: "1.0.0",
    title: "Length of a line",
    description: "Metres along a LineString, on a sphere.",
    inputs: { line: { title: "Line", schema: { type: "object", format: "geojson-geometry" } } },
    outputs: { metres: { title: "Length", schema: { type: "number", minimum: 0 } } },
    retry: "safe",
  },
  ({ line }, job) => {
    if (line.type !== "LineString") throw new BadInput("it must be a LineString", "line");
    const radians = line.coordinates.map((position) => position.map((degrees) => (degrees * Math.PI) / 180));
    let metres = 0;
    for (let index = 1; index < radians.length; index++) {
      const [[x0, y0], [x1, y1]] = [radians[index - 1], radians[index]];
      const h = Math.sin((y1 - y0) / 2) ** 2 + Math.cos(y0) * Math.cos(y1) * Math.sin((x1 - x0) / 2) ** 2;
      metres += 2 * 6_371_008.8 * Math.asin(Math.sqrt(h));
      job.progress((100 * index) / radians.length);
    }
    return { metres };
  },
);

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => worker.stop());
await worker.run();
