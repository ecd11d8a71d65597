/** The part of the page's address after `#`: keeps the view, the layers, the imagery, the filter and the area, so that a link shows the same. */
const numbers = (text, count) => {
  const values = (text ?? "").split("/").map(Number);
  return values.length === count && values.every(Number.isFinite) ? values : null;
};

/** A ring as lon/lat/lon/lat…, not closed. */
function ringOf(text) {
  const values = (text ?? "").split("/").map(Number);
  if (values.length < 6 || values.length % 2 || !values.every(Number.isFinite)) return null;
  const ring = Array.from({ length: values.length / 2 }, (_, place) => values.slice(place * 2, place * 2 + 2));
  return [...ring, ring[0]];
}

/** Layers by the address: all, one (`?layer=flights`, a link from elsewhere), or those that were chosen here. */
function layersOf(fields, linked) {
  return fields.get("layers")?.split(",").filter(Boolean) ?? (linked ? [linked] : null);
}

/** @returns {{view: [number, number, number] | null, layers: string[] | null, linked: boolean, tiles: string[] | null, filter: string, area: object | null, follow: boolean, debug: boolean, embed: boolean, feature: [string, any] | null}} */
export function readAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const box = numbers(fields.get("bbox"), 4);
  const linked = new URLSearchParams(location.search).get("layer");
  const ring = ringOf(fields.get("polygon"));
  return {
    view: numbers(fields.get("map"), 3),
    layers: layersOf(fields, linked),
    linked: linked !== null,
    tiles: fields.get("tiles")?.split(",").filter(Boolean) ?? null,
    filter: fields.get("filter") ?? "",
    area: box ? { bbox: box } : ring ? { geometry: { type: "Polygon", coordinates: [ring] } } : null,
    follow: fields.get("follow") === "1",
    debug: fields.has("debug"),
    embed: fields.has("embed"),
    feature: featureOf(fields.get("feature")),
  };
}

/** A layer and the id of a feature, which may be a number: as JSON. */
function featureOf(text) {
  try {
    const [layer, id] = JSON.parse(text);
    return typeof layer === "string" && ["string", "number"].includes(typeof id) ? [layer, id] : null;
  } catch {
    return null;
  }
}

export function writeAddress({ map, layers, tiles, filter, area, follow, debug, embed }) {
  const { lat, lng } = map.getCenter();
  const fields = new URLSearchParams({
    map: [map.getZoom().toFixed(2), lat.toFixed(4), lng.toFixed(4)].join("/"),
    layers: layers.join(","),
  });
  if (tiles) fields.set("tiles", tiles.join(","));
  if (filter) fields.set("filter", filter);
  if (area?.bbox) fields.set("bbox", area.bbox.join("/"));
  if (area?.geometry) fields.set("polygon", area.geometry.coordinates[0].slice(0, -1).flat().join("/"));
  if (follow) fields.set("follow", "1");
  if (debug) fields.set("debug", "1");
  if (embed) fields.set("embed", "1");
  const readable = fields.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  if (`#${readable}` !== location.hash) history.replaceState(null, "", `#${readable}`);
}
