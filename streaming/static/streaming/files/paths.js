/** Paths of the folder: parts with `/` between them, the whole folder being empty. */

export const parentOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
export const join = (...parts) => parts.filter(Boolean).join("/");
export const isBelow = (path, top) => !top || path === top || path.startsWith(`${top}/`);

/** The directories that lead to a path, the topmost first, and the path itself: `a`, `a/b`, `a/b/c`. */
export function stepsTo(path) {
  const parts = path.split("/").filter(Boolean);
  return parts.map((_, place) => parts.slice(0, place + 1).join("/"));
}

/** Another name beside a path: `maps/ortho (2).tif`. */
export function numbered(path, number) {
  const name = nameOf(path);
  const dot = name.lastIndexOf(".");
  const stem = dot > 0 ? name.slice(0, dot) : name;
  return join(parentOf(path), `${stem} (${number})${name.slice(stem.length)}`);
}

/** A file's last extension, in small letters. */
export function extensionOf(path) {
  const name = nameOf(path);
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : "";
}
