/** The part of the page's address after `#`: which directory is shown, which file, or the trash. */
import { parentOf } from "./paths.js";

/** @param {{path?: string, file?: string, trash?: boolean}} place */
export function address({ path = "", file = "", trash = false }) {
  const fields = new URLSearchParams({ ...(trash && { view: "trash" }), ...(path && { path }), ...(file && { file }) });
  return `#${fields.toString().replaceAll("%2F", "/")}`;
}

/** @returns {{path: string, file: string, trash: boolean}} `file` is a whole path, in the directory `path` */
export function readAddress(hash = location.hash) {
  const fields = new URLSearchParams(hash.slice(1));
  const file = fields.get("file") ?? "";
  return { trash: fields.get("view") === "trash", path: file ? parentOf(file) : (fields.get("path") ?? ""), file };
}
