/** The page of the folder: puts the list, the details, the uploads and the trash together, and keeps them as the address says. */
import { byTestId, element, setText } from "../map/dom.js";
import { gettext, interpolate } from "../map/gettext.js";
import { Theme } from "../map/theme.js";
import { Actions } from "./actions.js";
import { address, readAddress } from "./address.js";
import { FilesApi } from "./api.js";
import { Details } from "./details.js";
import { chosen, dropped, hasFiles } from "./dropped.js";
import { EntryTable } from "./entry-table.js";
import { FolderSocket } from "./folder-socket.js";
import { FolderView } from "./folder-view.js";
import { Ingests } from "./ingests.js";
import { nameOf, stepsTo } from "./paths.js";
import { Rights } from "./rights.js";
import { TrashView } from "./trash-view.js";
import { UploadPanel } from "./upload-panel.js";
import { Uploads } from "./uploads.js";
import { inWords } from "./words.js";

const STATES = {
  connecting: gettext("Connecting…"),
  open: gettext("Live"),
  reconnecting: gettext("Not connected; trying again…"),
  refused: gettext("Not live"),
};
const part = (id) => document.getElementById(id);

const config = JSON.parse(part("files-config").textContent);
const theme = new Theme();
const api = new FilesApi(config);
let rights = new Rights();
let anonymous = false;
let place = readAddress();

const page = { api, rights: () => rights, actions: new Actions(api, say, config.trash_days) };
const view = new FolderView(api, page.rights);
const socket = new FolderSocket(config.socket_url);
const table = new EntryTable(part("entries"), part("entries-end"));
const details = new Details(part("details"), page, { close: closeDetails, moved: (path) => go({ file: path }) });
const trash = new TrashView(part("trash"), page);
const uploads = new Uploads(api, (...question) => page.actions.resolve(...question));
const ingests = new Ingests(api);
let map = null;

new UploadPanel(uploads, part("uploads"));

/** Tell how something went: shown for a while, and read out. */
function say(text, bad = false) {
  const [line, other] = bad ? [part("problem"), part("outcome")] : [part("outcome"), part("problem")];
  setText(other, "");
  setText(line, text);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => setText(line, ""), bad ? 15_000 : 6_000);
}

function go(to) {
  location.hash = address(to);
}

/** Back to the list, to the row that was chosen. */
function closeDetails() {
  const { file } = place;
  go({ path: place.path });
  table.focus(file);
}

function showAddress() {
  const before = place;
  place = readAddress();
  part("folder").hidden = place.trash;
  trash.root.hidden = !place.trash;
  if (place.trash) trash.show();
  else if (before.trash || before.path !== place.path) openFolder();
  if (place.file && place.file !== before.file) uploads.clearIfDone(); // their list would cover the file's history
  show();
}

function openFolder() {
  setText(part("failure"), "");
  table.reset();
  part("find").value = "";
  table.search("");
  if (config.ingests) ingests.open(place.path);
  return view.open(place.path);
}

function show() {
  const { entries } = view.directory;
  const entry = place.file ? view.directory.get(nameOf(place.file)) : null;
  const gone = Boolean(place.file) && !entry && !view.loading;
  showCrumbs();
  showTools();
  table.show(entries, ingests.all, place.file);
  details.show(place.trash ? null : entry, ingests.all.get(place.file));
  document.body.dataset.chosen = String(Boolean(entry));
  setText(part("gone"), gone && !place.trash ? interpolate(gettext("%(name)s is not here."), { name: nameOf(place.file) }) : "");
  if (entries.length) setText(part("failure"), ""); // it has come into being meanwhile, or was listed at last
  const empty = !view.loading && entries.length === 0 && !part("failure").textContent;
  setText(part("empty"), empty ? gettext("There is nothing in this folder.") : view.loading && entries.length === 0 ? gettext("Loading…") : "");
  map?.show([...ingests.all.values()].filter(({ path }) => view.directory.get(nameOf(path))?.path === path), ingests.all.get(entry?.path));
}

function showCrumbs() {
  const steps = place.trash ? [] : stepsTo(place.path);
  const links = [[gettext("Files"), ""], ...steps.map((path) => [nameOf(path), path])].map(([text, path]) => element("a", { href: address({ path }) }, text));
  if (!place.trash) links.at(-1).setAttribute("aria-current", "page");
  const items = links.map((link) => element("li", {}, link));
  if (place.trash) items.push(element("li", { "aria-current": "page" }, gettext("Trash")));
  const text = items.map(({ textContent }) => textContent).join("/");
  if (part("crumbs").dataset.text === text) return;
  part("crumbs").dataset.text = text;
  part("crumbs").replaceChildren(...items);
}

function showTools() {
  const writable = !place.trash && rights.allows("write", place.path);
  for (const id of ["upload", "upload-folder", "new-folder"]) part(id).hidden = !writable;
  part("login-to-change").hidden = !anonymous || rights.allowsSome("write");
  part("trash-link").hidden = place.trash || !(rights.allowsSome("read") && rights.allowsSome("delete"));
}

/** Many changes in a row are drawn once; a large directory, which takes longer, less often. */
let timer = null;
let cost = 0;
function showSoon() {
  timer ??= setTimeout(() => {
    timer = null;
    const began = performance.now();
    show();
    cost = performance.now() - began;
  }, 10 + 4 * cost);
}

function showFailure({ detail: { error } }) {
  setText(part("failure"), error.status === 404 ? gettext("There is no such folder (any more).") : inWords(error));
}

async function loadRights() {
  const answer = await api.rights();
  rights = new Rights(answer.rights);
  anonymous = answer.user === null;
  uploads.most = answer.max_bytes;
  const welcome = rights.allowsSome("list");
  part("no-rights").hidden = welcome;
  part("workspace").hidden = !welcome;
  return welcome;
}

async function startMap() {
  const [{ PreviewMap }, { GeoStreamClient }] = await Promise.all([import("./preview-map.js"), import("../geostream.js")]);
  const client = new GeoStreamClient(config.ws_path, { format: "Json", compression: "Zstd", fzstd: config.fzstd_url });
  const events = client.subscribeEvents(["processing_status"], { filters: [["event", "file_ingest"]] });
  events.addEventListener("event", ({ detail: { payload } }) => ingests.take(payload));
  events.addEventListener("error", () => {}); // who may not follow events asks all the same
  client.connect().catch(() => {}); // it goes on trying
  map = new PreviewMap(part("map"), client, config.base_map, theme);
  map.addEventListener("choose", ({ detail: { path } }) => go({ file: path }));
  map.addEventListener("refused", ({ detail: { message } }) => say(message, true));
  show();
}

function upload(items) {
  if (items.length) uploads.add(items);
}

function wireTools() {
  byTestId("theme-toggle").addEventListener("click", () => theme.toggle());
  for (const [button, input] of [["upload", "file-input"], ["upload-folder", "folder-input"]]) {
    part(button).addEventListener("click", () => part(input).click());
    part(input).addEventListener("change", ({ target }) => {
      upload(chosen(target.files, place.path));
      target.value = "";
    });
  }
  part("new-folder").addEventListener("click", () => page.actions.makeDirectory(place.path));
  part("find").addEventListener("input", ({ target }) => table.search(target.value));
  addEventListener("hashchange", showAddress);
  addEventListener("keydown", ({ key, target }) => {
    if (key === "Escape" && place.file && !target.closest("dialog")) closeDetails();
  });
  addEventListener("beforeunload", (event) => uploads.busy && event.preventDefault());
}

function wireDrops() {
  const target = part("drop");
  const welcome = ({ dataTransfer }) => hasFiles(dataTransfer) && !part("upload").hidden && !document.querySelector("dialog[open]");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault(); // else the browser leaves the page for the file
    event.dataTransfer.dropEffect = welcome(event) ? "copy" : "none";
    target.hidden = !welcome(event);
    const invitation = place.path ? gettext("Drop to upload into %(folder)s") : gettext("Drop to upload into the folder");
    setText(target.firstElementChild, interpolate(invitation, { folder: place.path }));
  });
  addEventListener("dragleave", ({ relatedTarget }) => (target.hidden = relatedTarget !== null ? target.hidden : true));
  addEventListener("drop", async (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    target.hidden = true;
    if (!welcome(event)) return;
    try {
      upload(await dropped(event.dataTransfer, place.path));
    } catch (error) {
      say(interpolate(gettext("This could not be read: %(why)s"), { why: error.message }), true); // gone meanwhile, or not for this browser
    }
  });
}

function wireFolder() {
  view.addEventListener("change", showSoon);
  view.addEventListener("failed", showFailure);
  view.addEventListener("flash", ({ detail: { name } }) => table.flash(name));
  ingests.addEventListener("change", showSoon);
  socket.addEventListener("subscribed", ({ detail: { seq, epoch } }) => view.follow(seq, epoch));
  socket.addEventListener("resync", () => view.refresh());
  socket.addEventListener("operation", ({ detail: { operation, seq } }) => {
    view.apply(operation, seq);
    if (config.ingests) ingests.stale();
  });
  socket.addEventListener("state", () => {
    const badge = byTestId("connection-state");
    badge.dataset.state = socket.state;
    badge.title = socket.refusal;
    setText(badge, STATES[socket.state]);
  });
}

async function start() {
  wireTools();
  wireDrops();
  wireFolder();
  if (!(await loadRights())) return;
  part("folder").hidden = place.trash;
  if (config.ingests) startMap();
  const listed = openFolder();
  if (place.trash) trash.show();
  socket.connect();
  await listed;
}

start().catch((error) => setText(part("problem"), inWords(error)));
globalThis.files = { view, socket, uploads, ingests };
