/** Every text that visitors see goes through gettext, as a literal that makemessages finds. Operators' pages are English. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseAst } from "rollup/parseAst";

const OURS = "streaming/static/streaming";
const FOLDERS = [...["map", "files", "channels", "examples"].map((name) => `${OURS}/${name}`), "processes/static/processes"];
const scriptsIn = (folder) => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js")).map((name) => `${folder}/${name}`);
const FILES = FOLDERS.flatMap(scriptsIn).sort();
const GETTEXT = { gettext: [0], pgettext: [0, 1], ngettext: [0, 1] };
/** What looks like a text and is none: names of keys, of kinds and of places that have names of their own. */
const NAMES = new Set(
  `Alt Content-Type Depth Emulate End Enter Escape Feature FeatureCollection Files GeoJSON GeoPackage GeoParquet GeoTIFF FlatGeobuf GeometryCollection Home HIGH
  If-Match If-None-Match Json Leaflet LineString Location MBTiles MultiLineString MultiPoint MultiPolygon PMTiles Point Polygon Range Shapefile Subscribe Tus-Resumable
  Upload-Length Upload-Metadata Upload-Offset X-CSRFToken X-Mtime Zstd Ping Delete Ack FileOperation Error Line Area Natural Earth`.split(/\s+/),
);
/** A capital letter and small ones, words with a space between them, or a word between values. */
const isText = (text) =>
  !NAMES.has(text.trim()) && (/^\p{Lu}\p{Ll}+/u.test(text.trim()) || /\p{Ll}{2,}[,;:]? \p{L}{2,}|… \p{Ll}{2,}\b|^\p{Ll}{2,} …/u.test(text));

/** Where text is none: names of modules, of classes and of keys, what is compared, and CSS. */
const KEYS = new Set(["class", "viewBox", "d", "rel", "border", "outline"]);
const CALLS = new Set(["querySelector", "querySelectorAll", "matchMedia", "closest", "matches", "addEventListener", "on", "split", "includes", "create"]);
const isStyle = (text) => /^[\w.% -]+(px|deg|solid)\b|sans-serif|^<\w|^(button|member) /.test(text);
/** Errors that nobody is shown, words of a protocol, and units. */
const UNSEEN = new Set(["not an image", "… is not there", "the names of places could not be loaded (…)", "tile …: …", "ok …", "… km", "… min"]);

function isHidden(node, text, parents) {
  const [parent] = parents;
  if (isStyle(text) || UNSEEN.has(text) || /^(Import|Export)/.test(parent.type)) return true;
  if (parent.type === "Property" && (parent.key === node || KEYS.has(parent.key.name ?? parent.key.value))) return true;
  if (["BinaryExpression", "SwitchCase", "MemberExpression"].includes(parent.type)) return true;
  return parents.some(({ type, callee }) => type === "CallExpression" && CALLS.has(callee.property?.name ?? callee.name));
}

/** @param {object} node @param {(node: object, parents: object[]) => void} visit */
function walk(node, visit, parents = []) {
  visit(node, parents);
  for (const value of Object.values(node))
    for (const each of Array.isArray(value) ? value : [value]) if (each?.type) walk(each, visit, [node, ...parents]);
}

function textsOutside(file) {
  const found = [];
  const known = new Set();
  const source = readFileSync(file, "utf8");
  const line = (node) => source.slice(0, node.start).split("\n").length;
  walk(parseAst(source), (node, parents) => {
    const places = node.type === "CallExpression" && Object.hasOwn(GETTEXT, node.callee.name ?? "") && GETTEXT[node.callee.name];
    if (places && !file.endsWith("gettext.js"))
      for (const place of places) {
        const given = node.arguments[place];
        if (given?.type !== "Literal") found.push(`${file}:${line(node)} ${node.callee.name} of what is no literal`);
        known.add(given);
      }
    const text = node.type === "TemplateLiteral" ? node.quasis.map(({ value }) => value.cooked).join("…") : node.type === "Literal" && node.value;
    if (typeof text !== "string" || known.has(node) || !isText(text) || isHidden(node, text, parents)) return;
    found.push(`${file}:${line(node)} ${JSON.stringify(text)}`);
  });
  return found;
}

test("texts go through gettext", () => {
  assert.ok(FILES.length > 80, "the files were not found");
  assert.deepEqual(FILES.flatMap(textsOutside), []);
});
