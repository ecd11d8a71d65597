/** The live map: puts the client, the canvas and the panel together. Everything it shows arrives over one WebSocket. */
import { GeoStreamClient } from "../geostream.js";
import { readAddress, writeAddress } from "./address.js";
import { AreaControl } from "./area-control.js";
import { BaseMap } from "./basemap.js";
import { Card } from "./card.js";
import { byTestId, setText } from "./dom.js";
import { EventFeed } from "./event-feed.js";
import { FilterControl } from "./filter-control.js";
import { gettext, interpolate } from "./gettext.js";
import { HoverLabel } from "./hover-label.js";
import { Imagery } from "./imagery.js";
import { LargeLayers } from "./large-layers.js";
import { describeCount, LayerList } from "./layer-list.js";
import { LayerMenu } from "./layer-menu.js";
import { LayerScenes } from "./layer-scenes.js";
import { LayerWatch } from "./layer-watch.js";
import { Legend } from "./legend.js";
import { Live } from "./live.js";
import { MapPage } from "./map-page.js";
import { toLatitude } from "./mercator.js";
import { Outage } from "./outage.js";
import { FeatureOverlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { letPick } from "./picking.js";
import { Search } from "./search.js";
import { addMapButtons } from "./share.js";
import { Status } from "./status.js";
import { StyleEditor } from "./style-editor.js";
import { Theme } from "./theme.js";
import { viewportOf } from "./view.js";
import { ViewTable } from "./view-table.js";

const L = globalThis.L;
const WORLD = [
  [-50, -130],
  [65, 150],
];
const FOLLOW_AFTER = 250;
/** So many layers are on when the page is opened, of those that have something in them. */
const ON_AT_FIRST = 4;

const config = JSON.parse(document.getElementById("map-config").textContent);
const address = readAddress();
const theme = new Theme();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const panel = new Panel();
document.documentElement.toggleAttribute("data-embedded", address.embed);

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
addMapButtons(map);
L.control.scale({ position: "bottomright", imperial: false }).addTo(map);
if (address.view) map.setView(address.view.slice(1), address.view[0]);
else map.fitBounds(WORLD);

const baseMap = new BaseMap(theme, config.base_map).addTo(map);
const overlay = new FeatureOverlay(theme, calm).addTo(map);
const wanted = new Set(address.layers ?? firstOnes(config.layers));
if (address.feature) wanted.add(address.feature[0]);
const switchedOn = new Set();

const client = new GeoStreamClient(config.ws_path, { format: "Json", compression: "Zstd", pingInterval: 5_000, fzstd: config.fzstd_url });
const live = new Live(client, { bbox: null, geometry: null, filter: address.filter || null, ...address.area });
const large = new LargeLayers(live, config.most_features, () => ({ bbox: live.conditions.bbox ?? viewportOf(map), zoom: map.getZoom() }));
const scenes = new LayerScenes(live, theme, calm);
const imagery = new Imagery({ map, client, calm, theme, section: document.getElementById("imagery") }, config.tilesets, address.tiles);
const menu = new LayerMenu();
const layers = new LayerList(document.getElementById("layers"), menu);
for (const layer of config.layers) addLayer(layer);
for (const name of wanted) if (scenes.byName.has(name)) markOn(name);
const layerWatch = new LayerWatch(config.layers_url);
const styleEditor = config.may_style ? new StyleEditor(config.layers_url, config.csrf) : null;
const filter = new FilterControl(live, scenes.byName, () => [...switchedOn], config.layers_url);
const area = new AreaControl(map, live, theme, panel, address);
const card = new Card(document.getElementById("card"), overlay);
const hoverLabel = new HoverLabel(map.getContainer(), overlay);
const legend = new Legend();
const feed = new EventFeed(byTestId("events"), document.getElementById("no-events"));
const search = new Search(() => [...switchedOn].map((name) => scenes.byName.get(name)), baseMap.names);
const viewTable = new ViewTable(overlay);
new Status(client, live, theme);
new Outage(client);

/** The layer the page opens on, until the user moves the map or an address says where to look. */
let fitTo = address.view ? null : [...switchedOn][0];

/** A layer and the id of a feature. */
let linked = address.feature;

function firstOnes(all) {
  const names = all.filter(({ count }) => count !== 0).map(({ name }) => name);
  return names.slice(0, ON_AT_FIRST);
}

function addLayer(layer) {
  const scene = scenes.add(layer);
  layers.add(scene);
  layers.paintSwatch(scene);
}

function markOn(name) {
  switchedOn.add(name);
  layers.setSwitch(name, true);
}

/** A layer has another title, style, group or order. */
function changeLayer(layer) {
  const scene = scenes.byName.get(layer.name);
  scene.setLayer(layer);
  layers.update(scene);
  refreshLegend(scene);
  overlay.redraw();
}

function removeLayer(name) {
  if (!scenes.byName.has(name)) return;
  styleEditor?.forget(name);
  switchOff(name);
  scenes.remove(name);
  layers.remove(name);
  showScenes();
}

function fitOnce(name) {
  if (name !== fitTo || (scenes.byName.get(name).tracks.size === 0 && !address.linked && !large.showsCells(name))) return;
  const bounds = scenes.boundsOf(name);
  if (!bounds) return;
  fitTo = null;
  map.fitBounds(bounds, { ...panel.padding, maxZoom: 10, animate: false });
}

function remember() {
  writeAddress({
    map,
    layers: [...switchedOn],
    tiles: imagery.shown,
    filter: live.conditions.filter,
    area: area.drawn,
    follow: area.follows,
    debug: address.debug,
    embed: address.embed,
  });
}

function showSceneLegends() {
  legend.show(scenes.visible(switchedOn).reverse());
}

function refreshLegend(scene) {
  overlay.scenes = scenes.visible(switchedOn);
  showSceneLegends();
  if (scene !== scenes.byName.get(scene.layer.name)) return; // of cells
  overlay.painter.forget(scene);
  layers.setCandidates(scene);
  layers.paintSwatch(scene);
  filter.review();
}

/** The feature that the address names, as soon as it is there; once. */
function showLinked(layer) {
  if (linked === null || linked[0] !== layer) return;
  const scene = scenes.byName.get(layer);
  const drawable = scene.tracks.get(linked[1]) ?? scene.shapes.get(linked[1]);
  if (!drawable) return;
  linked = null;
  goTo({ target: { scene, drawable } });
}

function showApplied({ detail: { layer, changes } }) {
  showLinked(layer);
  if (card.target?.scene.layer.name === layer && changes.some(({ id }) => id === card.target.drawable.key)) card.refresh();
  fitOnce(layer);
  overlay.redrawStale();
  if (changes.some(({ feature }) => feature.geometry?.type === "Point")) overlay.redrawPoints();
}

function showCounts() {
  for (const name of scenes.byName.keys()) {
    const state = { complete: live.isComplete(name), narrowed: live.isNarrowed || large.has(name), large: large.has(name) };
    layers.setCount(name, ...describeCount(live.subscriptions[name], state));
  }
}

function showScenes() {
  overlay.scenes = scenes.visible(switchedOn);
  showSceneLegends();
  showCounts();
  overlay.redraw();
}

function switchOn(name) {
  if (switchedOn.has(name)) return;
  markOn(name);
  subscribe(name);
  filter.review();
}

/** All of a layer or, if it is large, what is in view. */
function subscribe(name) {
  if (scenes.byName.get(name).layer.count > config.most_features) large.add(name);
  live.switchOn(name);
}

function switchOff(name) {
  switchedOn.delete(name);
  scenes.clear(name);
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
  if (large.refused(layer, error)) return;
  if (!filter.refused(error)) setText(document.getElementById("notice"), `${scenes.byName.get(layer).layer.title}: ${error.message}`);
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
  filter.addEventListener("change", remember);
  area.addEventListener("change", () => {
    large.follow();
    remember();
  });
}

/** Layers come and go while the map is open. Those of others are offered, and off. */
function wireLayers() {
  layerWatch.addEventListener("there", ({ detail }) => {
    if (scenes.byName.has(detail.name)) return changeLayer(detail);
    addLayer(detail);
    tellMissing();
    setText(byTestId("layer-news"), interpolate(gettext("New: %(layer)s"), { layer: detail.title }));
    if (wanted.has(detail.name)) toggleLayer(detail.name, true);
  });
  layerWatch.addEventListener("gone", ({ detail }) => {
    if (scenes.byName.has(detail)) setText(byTestId("layer-news"), interpolate(gettext("Deleted: %(layer)s"), { layer: scenes.byName.get(detail).layer.title }));
    removeLayer(detail);
  });
  live.addEventListener("event", ({ detail }) => layerWatch.take(detail));
  if (styleEditor) wireStyleEditor();
  menu.add({ label: gettext("Zoom to it"), when: ({ name }) => scenes.boundsOf(name) !== null, run: ({ name }) => zoomTo(name) });
}

function wireStyleEditor() {
  const run = ({ name }) => {
    if (panel.isSheet) panel.setOpen(false);
    styleEditor.open(scenes.byName.get(name));
  };
  menu.add({ label: gettext("Style…"), run });
  styleEditor.addEventListener("preview", ({ detail: scene }) => {
    if (!scenes.byName.has(scene.layer.name)) return;
    refreshLegend(scene);
    overlay.redraw();
  });
  styleEditor.addEventListener("saved", ({ detail }) => layerWatch.tell(detail));
}

/** The address may name layers that are not there, or not for this user. */
function tellMissing() {
  const missing = [...wanted].filter((name) => !scenes.byName.has(name));
  const text = gettext("There is no layer %(layers)s, or you may not read it.");
  setText(byTestId("missing-layers"), missing.length > 0 ? interpolate(text, { layers: missing.join(", ") }) : "");
}

function zoomTo(name) {
  fitTo = null;
  map.fitBounds(scenes.boundsOf(name), { ...panel.padding, maxZoom: 10 });
}

/** Show what was found: a feature with its card, or a place. */
function goTo({ target, place }) {
  fitTo = null;
  if (place) return map.setView([toLatitude(place.y), place.x * 360 - 180], Math.max(map.getZoom(), Math.min(place.from + 3, 10)));
  const bounds = boundsOfDrawable(target.drawable);
  const isPoint = bounds.getSouthWest().equals(bounds.getNorthEast());
  if (isPoint) map.setView(bounds.getCenter(), Math.max(map.getZoom(), 8), { animate: false });
  else map.fitBounds(bounds, { ...panel.padding, maxZoom: 10, animate: false });
  card.show(target);
  card.place(overlay.whereIs(target) ?? map.latLngToContainerPoint(bounds.getCenter()));
  if (panel.isSheet) panel.setOpen(false);
}

function boundsOfDrawable({ feature, corners }) {
  const [lon, lat] = feature.geometry.coordinates;
  return L.latLngBounds(corners ?? [[lat, lon]]);
}

function wireMap() {
  let timer = null;
  for (const type of ["wheel", "pointerdown", "keydown"])
    map.getContainer().addEventListener(type, () => (fitTo = null), { passive: true });
  map.on("moveend", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      area.follow();
      large.follow();
      remember();
    }, FOLLOW_AFTER);
  });
  search.addEventListener("go", ({ detail }) => goTo(detail));
  viewTable.addEventListener("go", ({ detail }) => goTo(detail));
  viewTable.addEventListener("hint", ({ detail }) => {
    if (detail && detail.drawable !== card.target?.drawable) hoverLabel.show(detail, map.latLngToContainerPoint(boundsOfDrawable(detail.drawable).getCenter()));
    else hoverLabel.hide();
  });
  card.keepInMiddle = ({ x, y }) => {
    const away = L.point(x, y).subtract(map.getSize().divideBy(2)).round();
    if (Math.abs(away.x) + Math.abs(away.y) > 1) map.panBy(away, { animate: false });
  };
  map.on("dragstart", () => card.stopFollowing());
  letPick(map, overlay, card, hoverLabel, area);
  theme.addEventListener("change", () => {
    overlay.setTheme();
    baseMap.redraw();
    for (const scene of scenes.byName.values()) layers.paintSwatch(scene);
    showSceneLegends();
    card.refresh();
  });
  byTestId("fps").hidden = !address.debug;
  overlay.on("measured", () => setText(byTestId("fps"), `${Math.round(overlay.stats.fps)} fps · ${overlay.stats.frameMs.toFixed(1)} ms`));
}

function start() {
  wirePanel();
  wireLayers();
  wireMap();
  scenes.addEventListener("legend", ({ detail }) => refreshLegend(detail));
  scenes.addEventListener("applied", showApplied);
  live.addEventListener("refused", showRefusal);
  live.addEventListener("event", ({ detail }) => feed.add(detail));
  live.addEventListener("event", ({ detail }) => imagery.take(detail));
  setInterval(showCounts, 250);
  for (const name of switchedOn) subscribe(name);
  live.followEvents();
  showScenes();
  tellMissing();
  filter.review();
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
    viewport: () => viewportOf(map),
    panel: document.getElementById("panel-body"),
    hasLayer: (name) => scenes.byName.has(name),
    switchOn: (name) => toggleLayer(name, true),
    notice: (text) => setText(document.getElementById("notice"), text),
  };
}

start();
globalThis.geostream = { client, subscriptions: live.subscriptions, stats: overlay.stats, map, live, imagery };
