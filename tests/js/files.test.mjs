/** The page of files without a page: what is in a directory, what one may do, and uploads. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { address, readAddress } from "../../streaming/static/streaming/files/address.js";
import { Refused } from "../../streaming/static/streaming/files/api.js";
import { Directory } from "../../streaming/static/streaming/files/directory.js";
import { numbered, stepsTo } from "../../streaming/static/streaming/files/paths.js";
import { imageType } from "../../streaming/static/streaming/files/picture.js";
import { Rights } from "../../streaming/static/streaming/files/rights.js";
import { Uploads } from "../../streaming/static/streaming/files/uploads.js";
import { ago, kindOf } from "../../streaming/static/streaming/files/words.js";

const TIME = "2026-01-15T10:30:00Z";
const file = (path, hash = "a") => ({ path, size: 1, hash, modified: TIME, is_directory: false });
const create = (path, hash) => ({ Create: { metadata: file(path, hash) } });
const paths = (directory) => directory.entries.map(({ path }) => path).sort();

test("announcements and pages of a list may come in any order", () => {
  const directory = new Directory("maps");
  directory.apply(create("maps/new", "b"), 7);
  directory.apply({ Delete: { path: "maps/old" } }, 6);
  directory.add([file("maps/new", "a"), file("maps/old"), file("maps/kept")], 5);
  assert.deepEqual(paths(directory), ["maps/kept", "maps/new"]);
  assert.equal(directory.get("new").hash, "b");
});

test("what is not in the directory changes nothing", () => {
  const directory = new Directory("maps");
  for (const path of ["maps-old/a", "other", "maps"]) directory.apply(create(path), 1);
  assert.deepEqual(paths(directory), []);
});

test("something in a directory below makes that appear, and when it goes that is doubtful", () => {
  const directory = new Directory("");
  assert.equal(directory.apply(create("a/b/c"), 1).changed, "a");
  assert.equal(directory.get("a").is_directory, true);
  assert.equal(directory.apply(create("a/d"), 2).changed, null);
  assert.deepEqual(directory.apply({ Delete: { path: "a/d" } }, 3), { changed: null, gone: null, doubtful: "a" });
  directory.forget("a");
  assert.deepEqual(paths(directory), []);
});

test("a move is gone from one place and arrives at another", () => {
  const directory = new Directory("a");
  directory.add([file("a/1")], 1);
  const outcome = directory.apply({ Move: { from: "a/1", to: "a/2", metadata: file("a/2") } }, 3);
  assert.deepEqual(outcome, { changed: "2", gone: "1", doubtful: null });
  directory.apply({ Move: { from: "a/2", to: "b/2", metadata: file("b/2") } }, 5);
  assert.deepEqual(paths(directory), []);
});

test("rights hold for a directory and what is below it", () => {
  const rights = new Rights({ "": "list", "maps/in": "list read write delete" });
  assert.equal(rights.allows("write", "maps/in/a"), true);
  assert.equal(rights.allows("write", "maps/inside"), false);
  assert.equal(rights.allows("list", "maps/inside"), true);
  assert.equal(rights.allowsMove("maps/in/a"), true);
  assert.equal(rights.allowsMove("maps"), false);
});

test("names beside what is there keep the extension", () => {
  assert.equal(numbered("maps/ortho.tif", 2), "maps/ortho (2).tif");
  assert.equal(numbered(".profile", 2), ".profile (2)");
  assert.deepEqual(stepsTo("a/b/c"), ["a", "a/b", "a/b/c"]);
});

test("an address says what it was made of", () => {
  for (const place of [{ path: "", file: "", trash: false }, { path: "a b/ü&#", file: "", trash: false }, { path: "a", file: "a/b=c", trash: false }])
    assert.deepEqual(readAddress(address(place)), place);
  assert.equal(readAddress(address({ trash: true })).trash, true);
});

test("an image is one by its bytes", () => {
  const bytes = (text) => Uint8Array.from(text.padEnd(16, "\0"), (character) => character.charCodeAt(0));
  assert.equal(imageType(bytes("\x89PNG\r\n\x1a\n")), "image/png");
  assert.equal(imageType(bytes("\xff\xd8\xff\xe0")), "image/jpeg");
  assert.equal(imageType(bytes("RIFF____WEBPVP8 ")), "image/webp");
  for (const text of ["<svg xmlns=", "<!doctype html>", "RIFF____WAVEfmt ", ""]) assert.equal(imageType(bytes(text)), null);
});

test("kinds and times are in words", () => {
  assert.equal(kindOf(file("a/roads.GeoJSON")), "GeoJSON");
  assert.equal(kindOf(file("README")), "File");
  assert.equal(kindOf(file("a.unusuallylong")), "File");
  const now = Date.parse(TIME);
  assert.equal(ago("2026-01-15T10:29:50Z", now), "just now");
  assert.equal(ago("2026-01-15T08:20:00Z", now), "2 hours ago");
  assert.equal(ago("2026-01-17T11:00:00Z", now), "in 2 days");
});

/** A server with the files of `there`, which answers in a later turn. */
function fakeTransfers(there = []) {
  const log = { most: 0, sent: [] };
  let going = 0;
  const make = (api, { name }, path, condition) => ({
    sent: 0,
    cancel() {},
    async run() {
      log.most = Math.max(log.most, (going += 1));
      await new Promise(setImmediate);
      going -= 1;
      if (name === "broken") throw new Refused(507, { code: "quota" });
      if (condition["If-None-Match"] && there.includes(path)) throw new Refused(412, { code: "exists" }, { hash: "h", size: 1, modified: TIME });
      log.sent.push([path, Object.keys(condition)[0]]);
    },
  });
  return { log, make };
}

const items = (...names) => names.map((name) => ({ path: name, file: { name, size: 10 } }));

async function finished(uploads) {
  while (uploads.busy) await new Promise(setImmediate);
  return Object.fromEntries(uploads.all.map(({ wanted, state }) => [wanted, state]));
}

test("a few are uploaded at once, and a failure holds up no other", async () => {
  const { log, make } = fakeTransfers();
  const uploads = new Uploads({}, null, make);
  uploads.add(items("1", "2", "broken", "4", "5", "6"));
  assert.deepEqual(await finished(uploads), { 1: "done", 2: "done", broken: "failed", 4: "done", 5: "done", 6: "done" });
  assert.equal(log.most, 3);
  assert.deepEqual(uploads.figures, { files: 6, ended: 6, failed: 1, bytes: 60, sent: 60 });
  assert.equal(uploads.all.find(({ state }) => state === "failed").message, "The folder is full.");
});

test("of what is there already each is asked about, one at a time", async () => {
  const { log, make } = fakeTransfers(["a.tif", "a (2).tif", "b.tif", "c.tif"]);
  const choices = ["keep", "replace", "skip"];
  let open = 0;
  const uploads = new Uploads({}, async () => {
    assert.equal((open += 1), 1);
    await new Promise(setImmediate);
    open -= 1;
    return { choice: choices.shift(), always: false };
  }, make);
  uploads.add(items("a.tif", "b.tif", "c.tif", "d.tif"));
  assert.deepEqual(await finished(uploads), { "a.tif": "done", "b.tif": "done", "c.tif": "skipped", "d.tif": "done" });
  assert.deepEqual(log.sent.sort(), [["a (3).tif", "If-None-Match"], ["b.tif", "If-Match"], ["d.tif", "If-None-Match"]]);
});

test("an answer may hold for all others", async () => {
  const { make } = fakeTransfers(["a", "b", "c"]);
  let asked = 0;
  const uploads = new Uploads({}, async () => ({ choice: "skip", always: Boolean((asked += 1)) }), make);
  uploads.add(items("a", "b", "c"));
  assert.deepEqual(await finished(uploads), { a: "skipped", b: "skipped", c: "skipped" });
  assert.equal(asked, 1);
});

test("what was cancelled is not sent, and can never be done", async () => {
  const { log, make } = fakeTransfers();
  const uploads = new Uploads({}, null, make);
  uploads.add(items("1", "2", "3", "4"));
  uploads.cancelAll();
  await new Promise(setImmediate);
  assert.deepEqual(await finished(uploads), { 1: "cancelled", 2: "cancelled", 3: "cancelled", 4: "cancelled" });
  assert.equal(log.sent.some(([path]) => path === "4"), false);
});
