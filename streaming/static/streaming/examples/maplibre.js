/** A layer and a tileset in MapLibre GL JS. */
/* global maplibregl */
import { liveFeatures, liveTiles } from "../adapters/maplibre.js";
import { COLOURS, count, onError, start } from "./page.js";

const { client, layer, tileset, cells, countries_url } = start("maplibregl");
const map = new maplibregl.Map({
  container: "map",
  center: [8.2, 46.8],
  zoom: 5,
  style: {
    version: 8,
    sources: { countries: { type: "geojson", data: countries_url } },
    layers: [
      { id: "water", type: "background", paint: { "background-color": COLOURS.water } },
      { id: "land", type: "fill", source: "countries", paint: { "fill-color": COLOURS.land } },
      { id: "borders", type: "line", source: "countries", paint: { "line-color": COLOURS.border } },
    ],
  },
});
globalThis.example = { client, map };
map.on("error", ({ error }) => onError(error));
await map.once("load");

if (tileset) {
  const { format, vector_layers = [], tileSize } = await (await fetch(tileset.url)).json();
  const vector = format === "pbf";
  map.addSource("tiles", { type: vector ? "vector" : "raster", url: tileset.url, ...(!vector && { tileSize }) });
  if (!vector) map.addLayer({ id: "tiles", type: "raster", source: "tiles", paint: { "raster-fade-duration": 0 } });
  for (const { id } of vector_layers) {
    const shown = { source: "tiles", "source-layer": id };
    map.addLayer({ id: `${id}-lines`, type: "line", ...shown, paint: { "line-color": COLOURS.border } });
    map.addLayer({ id: `${id}-points`, type: "circle", ...shown, paint: { "circle-color": COLOURS.border, "circle-radius": 3 } });
  }
  globalThis.example.tiles = liveTiles(map, "tiles", client, tileset.name, { onError });
}

if (layer) {
  const live = liveFeatures(map, client, layer, { source: "live", onError, ...(cells && { aggregate: { by: "h3" } }) });
  const colour = cells
    ? ["interpolate", ["linear"], ["get", "count"], 1, COLOURS.cells[0], 10, COLOURS.cells[1], 100, COLOURS.cells[2]]
    : COLOURS.feature;
  const areas = ["==", ["geometry-type"], "Polygon"];
  map.addLayer({ id: "areas", type: "fill", source: "live", filter: areas, paint: { "fill-color": colour, "fill-opacity": 0.6 } });
  map.addLayer({ id: "lines", type: "line", source: "live", paint: { "line-color": COLOURS.feature } });
  const points = ["==", ["geometry-type"], "Point"];
  map.addLayer({ id: "points", type: "circle", source: "live", filter: points, paint: { "circle-color": COLOURS.feature } });
  count(live.subscription);
  globalThis.example.live = live;
}
