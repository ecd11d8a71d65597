import assert from "node:assert/strict";
import { test } from "node:test";

import { inView } from "../../streaming/static/streaming/map/in-view.js";
import { toLatitude, toX, toY } from "../../streaming/static/streaming/map/mercator.js";
import { ColourScale, STEPS } from "../../streaming/static/streaming/map/colour-scale.js";
import { domainFor } from "../../streaming/static/streaming/map/palette.js";
import { describe, formatValue, measures } from "../../streaming/static/streaming/map/properties.js";
import { readValue, Symbols } from "../../streaming/static/streaming/map/symbols.js";
import { Z } from "../../streaming/static/streaming/style/values.js";
import { Track } from "../../streaming/static/streaming/map/track.js";

const CONTEXT = { theme: "dark", plain: "#2dd4bf", domain: [0, 1], timeProperty: null };
const symbols = new Symbols({ version: 1, rotate: { property: "track_deg" }, label: { property: "callsign" } }, CONTEXT);
const ramp = (domain) => new ColourScale({ property: "x", type: "interpolate", palette: "sunset", domain }, CONTEXT);

const aircraft = (longitude, latitude, track_deg) => ({
  type: "Feature",
  id: "a",
  geometry: { type: "Point", coordinates: [longitude, latitude] },
  properties: { track_deg },
});

test("Mercator fractions run from the north-west corner", () => {
  assert.deepEqual([toX(-180), toX(0), toX(180)], [0, 0.5, 1]);
  assert.ok(Math.abs(toY(0) - 0.5) < 1e-12);
  assert.ok(Math.abs(toY(85.0511287798)) < 1e-9);
});

test("a track glides to its new position in about the interval between updates", () => {
  const track = new Track("a", aircraft(0, 0, 90), 0, symbols);
  track.update(aircraft(1, 0, 90), 1000, true);
  assert.equal(track.x, toX(0));
  track.advance(1500);
  assert.ok(track.x > toX(0) && track.x < toX(1));
  track.advance(2000);
  assert.equal(track.x, toX(1));
  assert.equal(track.moving, false);
});

test("a track turns the short way", () => {
  const track = new Track("a", aircraft(0, 0, 350), 0, symbols);
  track.update(aircraft(1, 0, 10), 1000, true);
  track.advance(1200);
  const degrees = (track.angle * 180) / Math.PI;
  assert.ok(degrees > 350 && degrees < 371);
});

test("a track crosses the date line the short way", () => {
  const track = new Track("a", aircraft(179.9, 0, 90), 0, symbols);
  track.update(aircraft(-179.9, 0, 90), 1000, true);
  track.advance(1500);
  assert.ok(Math.abs(track.x) < 0.001);
});

test("without motion a track is at once where it is reported", () => {
  const track = new Track("a", aircraft(0, 0, 90), 0, symbols);
  track.update(aircraft(1, 0, 90), 1000, false);
  assert.equal(track.x, toX(1));
});

test("the domain of a measure is round", () => {
  assert.deepEqual(domainFor("altitude_ft", [3211, 17_000, 39_025]), [0, 40_000]);
});

test("the domain of a measure with a single value is that value, and has the colour in the middle", () => {
  assert.deepEqual(domainFor("altitude_ft", [20_000, 20_000]), [20_000, 20_000]);
  assert.equal(ramp([20_000, 20_000]).stepOf(20_000), STEPS / 2);
});

test("a rare other value is not left out of the domain of a measure that hardly varies", () => {
  assert.deepEqual(domainFor("speed", [...Array(200).fill(0), 50]), [0, 50]);
});

test("a label is never longer than can be read", () => {
  const track = new Track("a", { ...aircraft(0, 0, 90), properties: { callsign: "x".repeat(90) } }, 0, symbols);
  assert.equal(track.label.length, 24);
});

test("values outside the domain have the outermost colours", () => {
  assert.deepEqual([-5, 50].map((value) => ramp([0, 10]).stepOf(value)), [0, STEPS - 1]);
});

test("an earthquake can be coloured by its depth, and its time, too", () => {
  const quake = { type: "Feature", id: 1, geometry: { type: "Point", coordinates: [1, 2, 30] }, properties: { mag: 4, at: 1000 } };
  assert.deepEqual(measures([quake], "at").slice(0, 3), ["mag", "at", Z]);
  assert.equal(readValue(quake, Z), 30);
  assert.equal(readValue(quake, "$time", "at"), 1_000_000);
});

test("names of properties become words with units", () => {
  assert.deepEqual(describe("vertical_rate_ftmin"), { label: "Vertical rate", unit: "ft/min" });
});

test("any value becomes text", () => {
  assert.equal(formatValue("x", null), "–");
  assert.equal(formatValue("x", { a: 1 }), '{"a":1}');
  assert.equal(formatValue("altitude_ft", 38000), "38\u202f000\u202fft");
});

test("what is in view is found by its box, also over the antimeridian", () => {
  const point = (...coordinates) => ({ type: "Point", coordinates });
  assert.ok(inView(point(8, 47), [5, 45, 11, 48]));
  assert.ok(!inView(point(8, 49), [5, 45, 11, 48]));
  assert.ok(!inView(point(12, 47), [5, 45, 11, 48]));
  assert.ok(inView(point(-179, 0), [170, -10, -170, 10]));
  assert.ok(!inView(point(0, 0), [170, -10, -170, 10]));
  const area = { type: "Polygon", coordinates: [[[0, 40], [20, 40], [20, 50], [0, 50], [0, 40]]] };
  assert.ok(inView(area, [5, 45, 11, 48]), "a view that is inside of it");
  assert.ok(inView({ type: "GeometryCollection", geometries: [point(0, 0), area] }, [5, 45, 11, 48]));
  assert.ok(!inView({ type: "GeometryCollection", geometries: [] }, [5, 45, 11, 48]));
});

test("a place on the map leads back to its latitude", () => {
  for (const latitude of [-85, -33.3, 0, 46.95, 85]) assert.ok(Math.abs(toLatitude(toY(latitude)) - latitude) < 1e-9);
});
