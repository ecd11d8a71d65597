// The map reads times as the server does: the vectors are those of the server's tests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { toTime } from "../../streaming/static/streaming/map/times.js";

const { vectors } = JSON.parse(readFileSync(new URL("../core/times.json", import.meta.url)));

for (const [value, milliseconds] of vectors) {
  test(`the time ${JSON.stringify(value)}`, () => {
    const read = toTime(value);
    if (milliseconds === null) assert.ok(Number.isNaN(read), String(read));
    else assert.ok(Math.abs(read - milliseconds) < 0.001, `${read} is not ${milliseconds}`);
  });
}
