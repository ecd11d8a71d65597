/**
 * Copies the libraries that the pages need out of `node_modules` to where they are served from, so that they run without npm. A page
 * under a strict policy has no import map: what a library imports by the name of its package is named by its place instead. Source maps
 * are not served, and not named either: Django's storages of hashed names refuse a file that names one that is not there.
 *
 *     npm ci && npm run vendor
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = {
  fzstd: ["esm/index.mjs", "LICENSE"],
  leaflet: [
    "dist/leaflet.js",
    "dist/leaflet.css",
    "dist/images/layers.png",
    "dist/images/layers-2x.png",
    "dist/images/marker-icon.png",
    "LICENSE",
  ],
  pbf: ["index.js", "LICENSE"],
  phoenix: ["priv/static/phoenix.mjs", "LICENSE.md"],
  "point-geometry": ["index.js", "LICENSE"],
  uplot: ["dist/uPlot.esm.js", "dist/uPlot.min.css", "LICENSE"],
  "vector-tile": ["index.js", "LICENSE.txt"],
};
const SCOPES = { "point-geometry": "@mapbox/", "vector-tile": "@mapbox/" };
const PLACES = { "@mapbox/point-geometry": "../point-geometry/index.js" };
const BUILT = /^(dist|esm|priv\/static)\//;
const IMPORT = /^(import .* from )'([^'.][^']*)';$/gm;
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;

function placed(line, start, name) {
  if (!PLACES[name]) throw new Error(`not one of the vendored packages: ${line}`);
  return `${start}'${PLACES[name]}';`;
}

/** A file as it is served. @param {string} file @param {Buffer} content */
function asServed(file, content) {
  return /\.m?js$/.test(file) ? Buffer.from(content.toString().replace(IMPORT, placed).replace(SOURCE_MAP, "")) : content;
}

/** Each file that is served: where it is, what it holds, and what it is called. @returns {{path: URL, content: Buffer, name: string}[]} */
export function vendored() {
  const here = new URL("../../", import.meta.url);
  return Object.entries(PACKAGES).flatMap(([name, files]) =>
    files.map((file) => {
      const content = readFileSync(new URL(`node_modules/${SCOPES[name] ?? ""}${name}/${file}`, here));
      const served = `${name}/${file.replace(BUILT, "")}`;
      return { name: served, path: new URL(`streaming/static/streaming/vendor/${served}`, here), content: asServed(file, content) };
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, content } of vendored()) {
    mkdirSync(dirname(fileURLToPath(path)), { recursive: true });
    writeFileSync(path, content);
  }
}
