/**
 * Copies the libraries that the pages need out of `node_modules` to where they are served from, so that they run without npm. A page
 * under a strict policy has no import map: what a library imports by the name of its package is named by its place instead.
 *
 *     npm ci && npm run vendor
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = {
  fzstd: ["esm/index.mjs", "LICENSE"],
  pbf: ["index.js", "LICENSE"],
  phoenix: ["priv/static/phoenix.mjs", "LICENSE.md"],
  "point-geometry": ["index.js", "LICENSE"],
  "vector-tile": ["index.js", "LICENSE.txt"],
};
const SCOPES = { "point-geometry": "@mapbox/", "vector-tile": "@mapbox/" };
const PLACES = { "@mapbox/point-geometry": "../point-geometry/index.js" };
const IMPORT = /^(import .* from )'([^'.][^']*)';$/gm;

function placed(line, start, name) {
  if (!PLACES[name]) throw new Error(`not one of the vendored packages: ${line}`);
  return `${start}'${PLACES[name]}';`;
}

/** Each file that is served: where it is, what it holds, and what it is called. @returns {{path: URL, text: string, name: string}[]} */
export function vendored() {
  const here = new URL("../../", import.meta.url);
  return Object.entries(PACKAGES).flatMap(([name, files]) =>
    files.map((file) => {
      const text = readFileSync(new URL(`node_modules/${SCOPES[name] ?? ""}${name}/${file}`, here), "utf8");
      const served = `${name}/${file.split("/").pop()}`;
      const path = new URL(`streaming/static/streaming/vendor/${served}`, here);
      return { name: served, path, text: /\.m?js$/.test(file) ? text.replace(IMPORT, placed) : text };
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, text } of vendored()) {
    mkdirSync(dirname(fileURLToPath(path)), { recursive: true });
    writeFileSync(path, text);
  }
}
