/** A layer and a tileset in OpenLayers. */
/* global ol */
import { liveFeatures, liveTiles } from "../adapters/openlayers.js";
import { COLOURS, count, onError, start } from "./page.js";

const { client, layer, tileset, cells, countries_url } = start("ol");
const format = new ol.format.GeoJSON();
const view = { center: ol.proj.fromLonLat([8.2, 46.8]), zoom: 6 };
const countries = new ol.layer.Vector({
  source: new ol.source.Vector({ format, url: countries_url }),
  style: { "fill-color": COLOURS.land, "stroke-color": COLOURS.border },
  background: COLOURS.water,
});
const map = new ol.Map({ target: "map", view: new ol.View(view), layers: [countries] });
globalThis.example = { client, map };

if (tileset) {
  const { format: kind, tiles, minzoom, maxzoom, tileSize } = await (await fetch(tileset.url)).json();
  const common = { url: tiles[0], maxZoom: maxzoom, minZoom: minzoom, transition: 0 };
  const vector = kind === "pbf";
  const source = vector
    ? new ol.source.VectorTile({ ...common, format: new ol.format.MVT() })
    : new ol.source.XYZ({ ...common, tileSize });
  globalThis.example.tiles = liveTiles(source, client, tileset.name, { format, map, onError });
  const style = { "circle-radius": 4, "circle-fill-color": COLOURS.border, "stroke-color": COLOURS.border };
  map.addLayer(vector ? new ol.layer.VectorTile({ source, style }) : new ol.layer.Tile({ source }));
}

if (layer) {
  const source = new ol.source.Vector();
  const live = liveFeatures(source, client, layer, { format, map, onError, ...(cells && { aggregate: { by: "h3" } }) });
  const scale = ["interpolate", ["linear"], ["get", "count"], 1, COLOURS.cells[0], 10, COLOURS.cells[1], 100, COLOURS.cells[2]];
  const style = {
    "circle-radius": 5,
    "circle-fill-color": COLOURS.feature,
    "fill-color": cells ? scale : COLOURS.feature,
    "stroke-color": COLOURS.feature,
  };
  map.addLayer(new ol.layer.Vector({ source, style, opacity: cells ? 0.6 : 1 }));
  count(live.subscription);
  Object.assign(globalThis.example, { live, source });
}
