/** A layer in deck.gl. */
/* global deck */
import { liveFeatures } from "../adapters/deckgl.js";
import { COLOURS, count, onError, start } from "./page.js";

const { client, layer, cells, countries_url } = start("deck");

/** @param {string} text such as #0d857b @param {number} [alpha] */
const rgb = (text, alpha = 255) => [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16)).concat(alpha);

const countries = new deck.GeoJsonLayer({
  id: "countries",
  data: countries_url,
  getFillColor: rgb(COLOURS.land),
  getLineColor: rgb(COLOURS.border),
  lineWidthMinPixels: 1,
});
const features = (props) =>
  new deck.GeoJsonLayer({
    id: "features",
    ...props,
    pointType: "circle",
    getPointRadius: 5,
    pointRadiusUnits: "pixels",
    getFillColor: cells ? ({ properties }) => rgb(COLOURS.cells[Math.min(2, Math.floor(Math.log10(properties.count)))], 160) : rgb(COLOURS.feature),
    getLineColor: rgb(COLOURS.feature),
    lineWidthMinPixels: 1,
    pickable: true,
  });
let loaded;
const onLoad = new Promise((resolve) => (loaded = resolve));
const map = new deck.Deck({
  parent: document.getElementById("map"),
  initialViewState: { longitude: 8.2, latitude: 46.8, zoom: 5 },
  controller: true,
  layers: [countries],
  getTooltip: ({ object }) => object && String(object.id),
  onError,
  onLoad: loaded,
  onViewStateChange: () => globalThis.example.live?.moved(),
});
globalThis.example = { client, map };

if (layer) {
  await onLoad; // before that there is no viewport
  const live = liveFeatures(client, layer, {
    viewport: () => map.getViewports()[0],
    onChange: (props) => map.setProps({ layers: [countries, features(props)] }),
    onError,
    ...(cells && { aggregate: { by: "h3" } }),
  });
  count(live.subscription);
  globalThis.example.live = live;
}
