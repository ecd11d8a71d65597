/** The files that were dropped or chosen, with their places in the folders that they came in. */
import { join } from "./paths.js";

/** @typedef {import("./uploads.js").Item} Item */

/** @param {FileList} files of an input @param {string} directory into which they go @returns {Item[]} */
export function chosen(files, directory) {
  return [...files].map((file) => ({ file, path: join(directory, file.webkitRelativePath || file.name) }));
}

/** @param {DataTransfer} data @param {string} directory into which they go @returns {Promise<Item[]>} */
export async function dropped(data, directory) {
  // All at once: after the first `await` there is nothing in it any more.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return chosen(data.files, directory);
  const found = [];
  for (const entry of entries) await collect(entry, directory, found);
  return found;
}

/** Whether something that is dragged is files, and not text of a page. */
export const hasFiles = (data) => [...(data?.types ?? [])].includes("Files");

async function collect(entry, directory, found) {
  const path = join(directory, entry.name);
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const before = found.length;
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (some.length === 0) break;
    for (const each of some) await collect(each, path, found);
  }
  if (found.length === before) found.push({ file: null, path });
}
