// The adapters with the types of the map libraries themselves: this has to compile.
import { Deck } from "@deck.gl/core";
import { GeoJsonLayer, PolygonLayer, ScatterplotLayer } from "@deck.gl/layers";
import { type Feature, type FeatureSubscription, GeoStreamClient, type GeoStreamError } from "geostream-client";
import * as deckgl from "geostream-client/deckgl";
import * as maplibre from "geostream-client/maplibre";
import * as openlayers from "geostream-client/openlayers";
import maplibregl from "maplibre-gl";
import OpenLayersMap from "ol/Map.js";
import GeoJSON from "ol/format/GeoJSON.js";
import MVT from "ol/format/MVT.js";
import VectorSource from "ol/source/Vector.js";
import VectorTileSource from "ol/source/VectorTile.js";
import XYZ from "ol/source/XYZ.js";

const client = new GeoStreamClient("/ws");
const onError = (error: GeoStreamError) => console.error(error.code);

export async function inMapLibre(): Promise<void> {
  const map = new maplibregl.Map({ container: "map" });
  const live = maplibre.liveFeatures(map, client, "flights", {
    source: "live",
    sourceOptions: { cluster: true },
    filter: "altitude_ft > 30000",
    budget: 4,
    debounce: 100,
    padding: 0.5,
    onError,
  });
  maplibre.liveFeatures(map, client, null, { follow: false, aggregate: { by: "h3", properties: ["speed"] } });
  const subscription: FeatureSubscription = live.subscription;
  const tiles = maplibre.liveTiles(map, "relief", client, "relief", { onError, debounce: 100 });
  console.log(live.source, subscription.features.size, tiles.subscription.closed);
  await live.remove();
  await tiles.remove();
  // @ts-expect-error a map is needed
  maplibre.liveFeatures("map", client, "flights");
  // @ts-expect-error no such option
  maplibre.liveFeatures(map, client, "flights", { zoom: 3 });
}

export async function inDeck(): Promise<void> {
  const deck = new Deck({ onViewStateChange: () => live.moved() });
  const getPosition = ({ geometry }: Feature) => (geometry?.type === "Point" ? (geometry.coordinates as [number, number]) : ([0, 0] as const));
  const live = deckgl.liveFeatures(client, "flights", {
    viewport: () => deck.getViewports()[0],
    onChange: (props) =>
      deck.setProps({
        layers: [
          new ScatterplotLayer({ id: "flights", ...props, getPosition: (each) => [...getPosition(each)] as [number, number] }),
          new GeoJsonLayer<Feature["properties"]>({ id: "all", ...(props as object) }),
          new PolygonLayer({ id: "cells", ...props, getPolygon: (each) => (each.geometry.type === "Polygon" ? (each.geometry.coordinates as [number, number][][]) : []) }),
        ],
      }),
    onError,
  });
  console.log(live.props.data.length, live.subscription.cursor);
  await live.remove();
}

export async function inOpenLayers(): Promise<void> {
  const [map, format] = [new OpenLayersMap({}), new GeoJSON()];
  const source = new VectorSource();
  const live = openlayers.liveFeatures(source, client, "flights", { format, map, onError });
  openlayers.liveFeatures(source, client, "flights", { format, projection: "EPSG:4326" });
  const vector = new VectorTileSource({ format: new MVT(), url: "/tiles/flights/{z}/{x}/{y}.mvt" });
  openlayers.liveTiles(vector, client, "flights", { format, map, fetch: (url) => fetch(url, { credentials: "include" }) });
  const tiles = openlayers.liveTiles(new XYZ({ url: "/tiles/relief/{z}/{x}/{y}.png" }), client, "relief", { format, map, onError });
  console.log(live.subscription.features.size);
  await live.remove();
  await tiles.remove();
  // @ts-expect-error a format is needed
  openlayers.liveFeatures(source, client, "flights", { map });
}
