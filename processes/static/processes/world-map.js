// A Leaflet map of the world's countries, without the internet.
/* global L */

/** A map in an element; `countries` is the address of their outlines. */
export function worldMap(container, countries) {
  const map = L.map(container, { worldCopyJump: true, attributionControl: false, zoomSnap: 0.5 }).setView([20, 0], 1);
  const css = getComputedStyle(document.documentElement);
  const color = (name) => css.getPropertyValue(name).trim();
  fetch(countries)
    .then((response) => response.json())
    .then((data) => L.geoJSON(data, { interactive: false, style: { color: resolved("--muted"), weight: 0.6, opacity: 0.6, fillColor: resolved("--surface"), fillOpacity: 1 } }).addTo(map).bringToBack())
    .catch(() => {}); // a map without countries still shows the result
  function resolved(name) { // light-dark() is resolved only in a property
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    container.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value || color(name);
  }
  new ResizeObserver(() => map.invalidateSize()).observe(container);
  return { map, accent: resolved("--accent"), text: resolved("--text") };
}

const CLOSEST = 14;
const CLOSEST_TO_POINT = 5; // any closer, a point is alone on an empty map

/** Draw GeoJSON and look at it. Properties are shown on a click. */
export function drawn({ map, accent }, geojson, { fit = true, popups = true } = {}) {
  const layer = L.geoJSON(geojson, {
    style: { color: accent, weight: 2, fillOpacity: 0.22 },
    pointToLayer: (feature, at) => L.circleMarker(at, { radius: 5, color: accent, weight: 2, fillOpacity: 0.5 }),
    onEachFeature: (feature, shape) => {
      const rows = Object.entries(feature.properties ?? {});
      if (popups && rows.length) shape.bindPopup(() => propertyTable(rows));
    },
  }).addTo(map);
  const bounds = layer.getBounds();
  const point = bounds.isValid() && bounds.getSouthWest().equals(bounds.getNorthEast());
  if (fit && bounds.isValid()) map.fitBounds(bounds, { maxZoom: point ? CLOSEST_TO_POINT : CLOSEST, padding: [24, 24], animate: false });
  return layer;
}

function propertyTable(rows) {
  const table = document.createElement("table");
  for (const [name, value] of rows) {
    const row = table.insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
  }
  return table;
}

/** Whether a value is GeoJSON that a map can show. */
export function isGeoJson(value) {
  return ["FeatureCollection", "Feature", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"].includes(value?.type);
}
