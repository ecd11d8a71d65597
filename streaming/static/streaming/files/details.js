/** One file or directory: what it is, what it looks like, what has happened to it, and what one may do with it. */
import { element, setText } from "../map/dom.js";
import { gettext, interpolate, LANGUAGE, ngettext } from "../map/gettext.js";
import { formatBytes } from "../map/properties.js";
import { extensionOf, nameOf, parentOf } from "./paths.js";
import { imageType, MOST_PICTURE_BYTES, paint } from "./picture.js";
import { ago, formatTime, kindOf } from "./words.js";

const HISTORY = 20;
const NARROW = matchMedia("(max-width: 900px)");
const PICTURES = new Set(["png", "jpg", "jpeg", "gif", "webp", "avif"]);
const DONE = {
  create: gettext("made"),
  update: gettext("changed"),
  delete: gettext("deleted"),
  move: gettext("moved"),
  restore: gettext("restored"),
  mkdir: gettext("made"),
  upload: gettext("uploaded"),
};

export class Details {
  #api;
  #actions;
  #rights;
  #parts;
  #entry = null;
  #turn = 0;

  /**
   * @param {HTMLElement} root
   * @param {{api: import("./api.js").FilesApi, actions: import("./actions.js").Actions, rights: () => import("./rights.js").Rights}} page
   * @param {{close: () => void, moved: (path: string) => void}} handlers
   */
  constructor(root, { api, actions, rights }, { close, moved }) {
    this.root = root;
    this.#api = api;
    this.#actions = actions;
    this.#rights = rights;
    this.#parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#parts.close.addEventListener("click", close);
    this.#parts.remove.addEventListener("click", async () => (await actions.remove(this.#entry)) && close());
    this.#parts.move.addEventListener("click", async () => {
      const path = await actions.move(this.#entry);
      if (path) moved(path);
    });
  }

  /** @param {import("./directory.js").Metadata | null} entry @param {object | undefined} ingest what has become of it */
  show(entry, ingest) {
    this.root.hidden = entry === null;
    const before = this.#entry;
    this.#entry = entry;
    if (entry === null) return;
    if (entry.path !== before?.path || entry.hash !== before.hash) this.#showAnew(entry, before);
    this.#showFacts(entry, ingest);
    if (entry.path !== before?.path) this.#attend();
  }

  /** Who has chosen it in the list goes on here, with the keyboard too. */
  #attend() {
    if (document.activeElement?.closest("#entries")) this.#parts.name.focus({ preventScroll: true });
    if (NARROW.matches) this.root.parentElement.scrollIntoView(); // there it is above the list
  }

  #showAnew(entry, before) {
    const turn = ++this.#turn;
    const current = () => turn === this.#turn;
    this.#parts.picture.hidden = true;
    if (entry.path !== before?.path) this.#parts.history.replaceChildren();
    this.#showPicture(entry, current).catch(() => {}); // the file itself can still be had
    this.#showHistory(entry, current).catch(() => (this.#parts.past.hidden = true));
  }

  #showFacts(entry, ingest) {
    const { path, size, hash, modified, is_directory } = entry;
    const rights = this.#rights();
    setText(this.#parts.name, nameOf(path));
    const facts = [
      [gettext("Kind"), kindOf(entry)],
      [gettext("Folder"), parentOf(path) || gettext("Files")],
      ...(is_directory ? [] : [[gettext("Size"), `${formatBytes(size)}`]]),
      ...(modified ? [[gettext("Modified"), `${formatTime(modified)} (${ago(modified)})`]] : []),
      ...(hash ? [["SHA-256", hash]] : []),
    ];
    this.#parts.facts.replaceChildren(...facts.map(([term, text]) => element("div", {}, element("dt", {}, term), element("dd", {}, text))));
    const { download, move, remove } = this.#parts;
    download.hidden = is_directory || !rights.allows("read", path);
    download.setAttribute("href", this.#api.downloadUrl(path));
    move.hidden = !rights.allowsMove(path);
    remove.hidden = !rights.allows("delete", path);
    this.#showIngest(ingest);
  }

  #showIngest(ingest) {
    const { ingest: line, onMap } = this.#parts;
    line.hidden = !ingest || ingest.status === "ignored";
    onMap.hidden = ingest?.status !== "ready";
    if (line.hidden) return;
    line.dataset.status = ingest.status;
    setText(line, describe(ingest));
    const { layer, tileset } = ingest;
    onMap.setAttribute("href", `${onMap.dataset.map}#${new URLSearchParams({ ...(layer && { layers: layer }), ...(tileset && { tiles: tileset }) })}`);
  }

  async #showPicture({ path, size, is_directory }, current) {
    if (is_directory || size > MOST_PICTURE_BYTES || size < 16) return;
    if (!PICTURES.has(extensionOf(path)) || !this.#rights().allows("read", path)) return;
    if (imageType(new Uint8Array(await this.#api.bytes(path, 16))) === null || !current()) return;
    const canvas = element("canvas", { role: "img" });
    const { width, height } = await paint(canvas, await this.#api.bytes(path));
    if (!current()) return;
    canvas.setAttribute("aria-label", interpolate(gettext("%(name)s, %(width)s by %(height)s pixels"), { name: nameOf(path), width, height }));
    this.#parts.picture.replaceChildren(canvas);
    this.#parts.picture.hidden = false;
  }

  async #showHistory(entry, current) {
    const { changes } = await this.#api.history(entry.path, HISTORY);
    if (!current()) return;
    this.#parts.past.hidden = changes.length === 0;
    this.#parts.history.replaceChildren(...changes.map((change) => this.#changeRow(entry, change)));
  }

  #changeRow(entry, { at, action, actor, source, path, from, hash_before, trashed }) {
    const done = action === "upload" && hash_before ? gettext("new version uploaded") : (DONE[action] ?? action);
    const other = from ? ` ${interpolate(gettext("from %(path)s"), { path: from })}` : path !== entry.path ? ` (${path})` : "";
    const who = actor ?? source;
    const by = who ? ` ${interpolate(gettext("by %(user)s"), { user: who })}` : "";
    const item = element("li", {}, element("span", {}, `${done}${other}${by}`));
    item.append(element("time", { datetime: at, title: formatTime(at) }, ago(at)));
    if (trashed && this.#rights().allows("write", path)) {
      const restore = element("button", { type: "button", class: "button small" }, gettext("Restore"));
      restore.setAttribute("aria-label", interpolate(gettext("Restore the version of %(name)s before this, from %(time)s"), { name: nameOf(path), time: formatTime(at) }));
      restore.title = gettext("What was there before");
      restore.addEventListener("click", async () => (await this.#actions.restore(trashed, path)) && this.#reload());
      item.append(restore);
    }
    return item;
  }

  #reload() {
    const turn = ++this.#turn;
    this.#showHistory(this.#entry, () => turn === this.#turn).catch(() => {});
  }
}

/** What has become of a file. */
export function describe({ status, kind, layer, tileset, message, progress, features }) {
  if (status === "queued") return gettext("Waits to be read.");
  if (status === "running") return `${gettext("Is being read")}${progress ? `: ${Math.floor(progress * 100)}\u202f%` : " …"}`;
  if (status === "failed") return interpolate(gettext("Could not be read: %(why)s"), { why: message });
  if (kind === "tileset") return interpolate(gettext("Is the tileset %(name)s."), { name: tileset });
  if (features === null || features === undefined) return interpolate(gettext("Is the layer %(name)s."), { name: layer });
  const text = ngettext("Is the layer %(name)s, %(count)s feature.", "Is the layer %(name)s, %(count)s features.", features);
  return interpolate(text, { name: layer, count: features.toLocaleString(LANGUAGE) });
}
