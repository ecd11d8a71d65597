/** The live map: puts the client, the canvas and the panel together. Everything it shows arrives over one WebSocket. */
import { GeoStreamClient } from "../geostream.js";
import { readAddress, writeAddress } from "./address.js";
import { AreaTool } from "./area.js";
import { BaseMap } from "./basemap.js";
import { Card } from "./card.js";
import { CellScene } from "./cell-scene.js";
import { countOf, isCell } from "./cells.js";
import { byTestId, setText } from "./dom.js";
import { EventFeed } from "./event-feed.js";
import { FilterForm } from "./filter-form.js";
import { FilterScope } from "./filter-scope.js";
import { FrameWork } from "./frame-work.js";
import { Imagery } from "./imagery.js";
import { LargeLayers } from "./large-layers.js";
import { LayerColours } from "./layer-colours.js";
import { LayerList } from "./layer-list.js";
import { LayerMenu } from "./layer-menu.js";
import { LayerScene } from "./layer-scene.js";
import { LayerWatch } from "./layer-watch.js";
import { showLegends } from "./legend.js";
import { Live } from "./live.js";
import { MapPage } from "./map-page.js";
import { Outage } from "./outage.js";
import { FeatureOverlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { letPick } from "./picking.js";
import { formatNumber } from "./properties.js";
import { Status } from "./status.js";
import { Theme } from "./theme.js";

const L = globalThis.L;
const WORLD = [
  [-50, -130],
  [65, 150],
];
const FOLLOW_AFTER = 250;
/** Changes that are applied as soon as they come, and in one piece. */
const AT_ONCE = 150;

const config = JSON.parse(document.getElementById("map-config").textContent);
const address = readAddress();
const theme = new Theme();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const panel = new Panel();

const map = L.map("map", {
  zoomControl: false,
  minZoom: 1.5,
  maxZoom: 14,
  zoomSnap: 0.25,
  zoomDelta: 0.75,
  worldCopyJump: true,
  maxBoundsViscosity: 1,
  maxBounds: [
    [-86, -Infinity],
    [86, Infinity],
  ],
});
map.attributionControl.setPrefix('<a href="https://leafletjs.com">Leaflet</a>');
L.control.zoom({ position: "topright" }).addTo(map);
L.control.scale({ position: "bottomright", imperial: false }).addTo(map);
if (address.view) map.setView(address.view.slice(1), address.view[0]);
else map.fitBounds(WORLD);

const baseMap = new BaseMap(theme, config.base_map).addTo(map);
const overlay = new FeatureOverlay(theme, calm).addTo(map);
const scenes = new Map();
/** Of large layers, by their names. */
const cellScenes = new Map();
const colours = new LayerColours();
const wanted = new Set(address.layers ?? config.layers.map(({ name }) => name));
const switchedOn = new Set();

const client = new GeoStreamClient(config.ws_path, { format: "Json", compression: "Zstd", pingInterval: 5_000, fzstd: config.fzstd_url });
const live = new Live(client, { bbox: null, geometry: null, filter: address.filter || null, ...address.area });
const large = new LargeLayers(live, config.most_features, () => ({ bbox: live.conditions.bbox ?? viewport(), zoom: map.getZoom() }));
new Status(client, live, theme);
new Outage(client);
const imagery = new Imagery({ map, client, calm, theme, section: document.getElementById("imagery") }, config.tilesets, address.tiles);
const menu = new LayerMenu();
const layers = new LayerList(document.getElementById("layers"), menu);
for (const layer of config.layers) addLayer(layer);
for (const name of wanted) if (scenes.has(name)) markOn(name);
const layerWatch = new LayerWatch(config.layers_url);
const filter = new FilterForm(address.filter);
const filterScope = new FilterScope(scenes, config.layers_url);
const area = new AreaTool(map, theme);
const card = new Card(document.getElementById("card"), overlay);
const feed = new EventFeed(byTestId("events"), document.getElementById("no-events"));
const follow = byTestId("follow-view");
const frameWork = new FrameWork(applyChanges);
/** The filter that was asked for last, and the layers that the one of now is not for. */
let filterText = live.conditions.filter;
let othersThen = "";

/** The layer the page opens on, until the user moves the map or an address says where to look. */
let fitTo = address.view ? null : ([...switchedOn].find((name) => /flight|aircraft|vehicle/i.test(name)) ?? [...switchedOn][0]);

function addLayer(layer) {
  const scene = new LayerScene(layer, theme.name, colours.of(layer.name));
  scenes.set(layer.name, scene);
  layers.add(scene);
  layers.paintSwatch(scene);
}

function markOn(name) {
  switchedOn.add(name);
  layers.setSwitch(name, true);
}

function removeLayer(name) {
  if (!scenes.has(name)) return;
  switchOff(name);
  scenes.delete(name);
  layers.remove(name);
  showScenes();
}

function visibleScenes() {
  const on = [...scenes.values()].filter(({ layer }) => switchedOn.has(layer.name));
  return on.flatMap((scene) => [...(cellScenes.has(scene.layer.name) ? [cellScenes.get(scene.layer.name)] : []), scene]);
}

function boundsOf(scene) {
  const points = [...scene.tracks.values()].map(({ feature }) => [feature.geometry.coordinates[1], feature.geometry.coordinates[0]]);
  const corners = [...scene.shapes.values()].flatMap(({ corners }) => corners);
  return points.length + corners.length ? L.latLngBounds([...points, ...corners]) : null;
}

function fitOnce(name) {
  if (name !== fitTo || (scenes.get(name).tracks.size === 0 && !address.linked)) return;
  const bounds = boundsOf(scenes.get(name));
  if (!bounds) return;
  fitTo = null;
  map.fitBounds(bounds, { ...panel.padding, maxZoom: 10, animate: false });
}

function viewport() {
  const bounds = map.getBounds();
  const wrap = (longitude) => ((((longitude + 180) % 360) + 360) % 360) - 180;
  const whole = bounds.getEast() - bounds.getWest() >= 360;
  const [west, east] = whole ? [-180, 180] : [wrap(bounds.getWest()), wrap(bounds.getEast())];
  return [west, Math.max(-90, bounds.getSouth()), east, Math.min(90, bounds.getNorth())].map((degrees) => Number(degrees.toFixed(5)));
}

function drawnArea() {
  const { bbox, geometry } = live.conditions;
  if (geometry) return { geometry };
  return bbox && !follow.checked ? { bbox } : null;
}

function remember() {
  writeAddress({
    map,
    layers: [...switchedOn],
    tiles: imagery.shown,
    filter: live.conditions.filter,
    area: drawnArea(),
    follow: follow.checked,
    debug: address.debug,
  });
}

function setArea(conditions) {
  live.apply({ bbox: null, geometry: null, ...(follow.checked && { bbox: viewport() }), ...conditions });
  large.follow();
  byTestId("draw-clear").disabled = drawnArea() === null;
  remember();
}

function refreshLegend(scene) {
  overlay.painter.forget(scene);
  layers.setCandidates(scene);
  layers.paintSwatch(scene);
  showLegends(document.getElementById("legend"), visibleScenes());
  judgeFilter(live.conditions.filter);
}

function showChanges({ detail: { layer, changes } }) {
  if (changes.length <= AT_ONCE && frameWork.idle) return applyChanges({ layer, changes, arrives: live.isComplete(layer) });
  const [subscription, arrives] = [live.subscriptions[layer], live.isComplete(layer)];
  const pieces = [];
  for (let from = 0; from < changes.length; from += AT_ONCE) pieces.push({ layer, changes: changes.slice(from, from + AT_ONCE), arrives, subscription });
  frameWork.add(pieces);
}

/** Unless the layer was switched off, or off and on, since they came. */
function applyChanges({ layer, changes, arrives, subscription = live.subscriptions[layer] }) {
  const scene = scenes.get(layer);
  if (!scene || live.subscriptions[layer] !== subscription) return;
  const [cells, features] = [changes.filter(({ feature }) => isCell(feature)), changes.filter(({ feature }) => !isCell(feature))];
  if (cells.length > 0 && cellSceneOf(scene).apply(cells, performance.now(), false)) showLegends(document.getElementById("legend"), visibleScenes());
  if (scene.apply(features, performance.now(), !calm.matches, arrives)) refreshLegend(scene);
  if (card.target?.scene === scene && changes.some(({ id }) => id === card.target.drawable.key)) card.refresh();
  fitOnce(layer);
  if (changes.some(({ feature }) => feature.geometry?.type !== "Point")) overlay.redraw();
  else overlay.redrawPoints();
}

function cellSceneOf({ layer }) {
  if (!cellScenes.has(layer.name)) {
    cellScenes.set(layer.name, new CellScene(layer, theme.name));
    overlay.scenes = visibleScenes();
  }
  return cellScenes.get(layer.name);
}

function showCounts() {
  for (const name of scenes.keys()) layers.setCount(name, ...describeCount(live.subscriptions[name], live.isComplete(name)));
}

/** What the page holds of a layer. @returns {[string, boolean]} in words, and whether more is on its way */
function describeCount(subscription, complete) {
  if (!subscription) return ["–", false];
  const size = large.has(subscription.layer) ? countOf(subscription.features) : subscription.features.size;
  const { announced } = subscription;
  if (complete && size === 0) return [live.isNarrowed ? "none" : "empty", false];
  if (!complete && large.has(subscription.layer)) return ["…", true];
  if (!complete) return [announced === null ? "…" : `${formatNumber(size)} of ${formatNumber(announced)}`, true];
  return [formatNumber(size), false];
}

/** See for which layers a filter is, and say so; then it holds. */
async function judgeFilter(text) {
  const names = [...switchedOn];
  filter.offer(filterScope.offered(names));
  const { others, unknown, properties } = await filterScope.judge(text, names);
  if (text !== filterText) return; // another one was asked for meanwhile
  if (unknown.length > 0) {
    if (live.conditions.filter === text) live.apply({ filter: null });
    filterText = live.conditions.filter;
    return filter.refuse(`Nothing has ${unknown.join(", ")}. There is: ${properties.join(", ")}`);
  }
  filter.nameOthers(others.map((name) => scenes.get(name)?.layer.title ?? name));
  if (text !== live.conditions.filter || others.join() !== othersThen) live.apply({ filter: text }, others);
  othersThen = others.join();
  remember();
}

function showScenes() {
  overlay.scenes = visibleScenes();
  showLegends(document.getElementById("legend"), visibleScenes());
  showCounts();
  overlay.redraw();
}

function switchOn(name) {
  if (switchedOn.has(name)) return;
  markOn(name);
  subscribe(name);
  judgeFilter(live.conditions.filter);
}

/** All of a layer or, if it is large, what is in view. */
function subscribe(name) {
  if (scenes.get(name).layer.count > config.most_features) large.add(name);
  live.switchOn(name);
}

function switchOff(name) {
  switchedOn.delete(name);
  scenes.get(name).clear();
  cellScenes.delete(name);
  large.remove(name);
  card.refresh();
  live.switchOff(name);
}

function toggleLayer(name, on) {
  if (on) switchOn(name);
  else switchOff(name);
  showScenes();
  remember();
}

function showRefusal({ detail: { layer, error, off } }) {
  if (large.refused(layer, error.code)) return;
  filterText = live.conditions.filter;
  if (error.code === "invalid_filter") filter.refuse(error.message);
  else setText(document.getElementById("notice"), `${scenes.get(layer).layer.title}: ${error.message}`);
  remember();
  if (!off) return;
  switchedOn.delete(layer);
  layers.setSwitch(layer, false);
  showScenes();
}

function wirePanel() {
  byTestId("theme-toggle").addEventListener("click", () => theme.toggle());
  layers.addEventListener("toggle", ({ detail: { scene, on } }) => toggleLayer(scene.layer.name, on));
  layers.addEventListener("colour", ({ detail: { scene, property } }) => {
    scene.colourBy(property);
    refreshLegend(scene);
    overlay.redraw();
  });
  imagery.addEventListener("change", remember);
  imagery.addEventListener("refused", ({ detail: { title, error } }) => {
    setText(document.getElementById("notice"), `${title}: ${error.message}`);
    remember();
  });
  filter.addEventListener("filter", ({ detail }) => {
    filterText = detail;
    judgeFilter(detail);
  });
  follow.checked = address.follow;
  follow.addEventListener("change", () => {
    if (live.conditions.bbox) area.show(live.conditions.geometry && { geometry: live.conditions.geometry });
    setArea({ geometry: live.conditions.geometry });
  });
}

function wireArea() {
  const buttons = { box: byTestId("draw-box"), polygon: byTestId("draw-polygon") };
  for (const [mode, button] of Object.entries(buttons)) button.addEventListener("click", () => area.start(mode));
  area.addEventListener("mode", () => {
    for (const [mode, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(area.mode === mode));
    document.getElementById("draw-hint").dataset.mode = area.mode ?? "";
    if (area.mode && matchMedia("(max-width: 640px)").matches) panel.setOpen(false);
  });
  area.addEventListener("area", ({ detail }) => {
    if (detail.bbox) follow.checked = false;
    setArea(detail);
  });
  byTestId("draw-clear").addEventListener("click", () => {
    area.show(null);
    setArea({});
  });
  area.show(address.area);
  byTestId("draw-clear").disabled = !address.area;
}

/** Layers come and go while the map is open. Those of others are offered, and off. */
function wireLayers() {
  layerWatch.addEventListener("there", ({ detail }) => {
    if (scenes.has(detail.name)) return;
    addLayer(detail);
    tellMissing();
    setText(byTestId("layer-news"), `New: ${detail.title}`);
    if (wanted.has(detail.name)) toggleLayer(detail.name, true);
  });
  layerWatch.addEventListener("gone", ({ detail }) => {
    if (scenes.has(detail)) setText(byTestId("layer-news"), `Deleted: ${scenes.get(detail).layer.title}`);
    removeLayer(detail);
  });
  live.addEventListener("event", ({ detail }) => layerWatch.take(detail));
  menu.add({ label: "Zoom to it", when: ({ name }) => boundsOf(scenes.get(name)) !== null, run: ({ name }) => zoomTo(name) });
}

/** The address may name layers that are not there, or not for this user. */
function tellMissing() {
  const missing = [...wanted].filter((name) => !scenes.has(name));
  const text = missing.length > 0 ? `There is no layer ${missing.join(", ")}, or you may not read it.` : "";
  setText(byTestId("missing-layers"), text);
}

function zoomTo(name) {
  fitTo = null;
  map.fitBounds(boundsOf(scenes.get(name)), { ...panel.padding, maxZoom: 10 });
}

function wireMap() {
  let timer = null;
  for (const type of ["wheel", "pointerdown", "keydown"])
    map.getContainer().addEventListener(type, () => (fitTo = null), { passive: true });
  map.on("moveend", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (follow.checked) live.apply({ bbox: viewport() });
      large.follow();
      remember();
    }, FOLLOW_AFTER);
  });
  letPick(map, overlay, card, area);
  theme.addEventListener("change", () => {
    overlay.setTheme();
    baseMap.redraw();
    for (const scene of scenes.values()) layers.paintSwatch(scene);
    showLegends(document.getElementById("legend"), visibleScenes());
    card.refresh();
  });
  byTestId("fps").hidden = !address.debug;
  overlay.on("measured", () => setText(byTestId("fps"), `${Math.round(overlay.stats.fps)} fps · ${overlay.stats.frameMs.toFixed(1)} ms`));
}

function start() {
  wirePanel();
  wireArea();
  wireLayers();
  wireMap();
  live.addEventListener("changes", showChanges);
  live.addEventListener("refused", showRefusal);
  live.addEventListener("event", ({ detail }) => feed.add(detail));
  live.addEventListener("event", ({ detail }) => imagery.take(detail));
  setInterval(showCounts, 250);
  if (follow.checked) live.apply({ bbox: viewport() });
  for (const name of switchedOn) subscribe(name);
  live.followEvents();
  showScenes();
  tellMissing();
  if (filterText) judgeFilter(filterText);
  client.addEventListener("error", ({ detail: { message } }) => setText(document.getElementById("notice"), message));
  addEventListener("hashchange", () => location.reload()); // a pasted address; our own changes of it raise no event
  client.connect().catch(() => {}); // the panel shows why
  new MapPage(parts()).load(config.parts);
}

/** What parts may use of this page. */
function parts() {
  return {
    map,
    live,
    overlay,
    menu,
    layerWatch,
    wanted,
    viewport,
    panel: document.getElementById("panel-body"),
    hasLayer: (name) => scenes.has(name),
    switchOn: (name) => toggleLayer(name, true),
    notice: (text) => setText(document.getElementById("notice"), text),
  };
}

start();
globalThis.geostream = { client, subscriptions: live.subscriptions, stats: overlay.stats, map, live, imagery };
