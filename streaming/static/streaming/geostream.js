/**
 * The GeoStream client library: live layers, tiles and events over the geo protocol (`/ws`).
 *
 * An ES module without a build step, for browsers and for Node (pass `WebSocket` there).
 *
 *     import { GeoStreamClient } from "./geostream.js";
 *     const client = new GeoStreamClient("/ws");
 *     const flights = client.subscribeFeatures("flights", { bbox: [5, 45, 11, 48] });
 *     flights.addEventListener("change", ({ detail }) => console.log(detail.type, detail.id));
 *     await client.connect();
 */
export { GeoStreamClient } from "./client/client.js";
export { FeatureSubscription } from "./client/feature-subscription.js";
export { TileSubscription } from "./client/tile-subscription.js";
export { EventSubscription, EVENT_TYPES } from "./client/event-subscription.js";
export { GeoStreamError } from "./client/errors.js";
