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
export { TileNoticeSubscription } from "./client/tile-notice-subscription.js";
export { EventSubscription, EVENT_TYPES } from "./client/event-subscription.js";
export { GeoStreamError } from "./client/errors.js";

/**
 * @typedef {import("./client/backoff.js").BackoffOptions} BackoffOptions
 * @typedef {import("./client/client.js").AnySubscription} AnySubscription
 * @typedef {import("./client/client.js").ClientEvents} ClientEvents
 * @typedef {import("./client/client.js").ClientOptions} ClientOptions
 * @typedef {import("./client/collection.js").Change} Change
 * @typedef {import("./client/event-subscription.js").EventOptions} EventOptions
 * @typedef {import("./client/event-subscription.js").StreamEvent} StreamEvent
 * @typedef {import("./client/messages.js").Aggregate} Aggregate
 * @typedef {import("./client/feature-subscription.js").FeatureConditions} FeatureConditions
 * @typedef {import("./client/feature-subscription.js").FeatureEvents} FeatureEvents
 * @typedef {import("./client/feature-subscription.js").FeatureOptions} FeatureOptions
 * @typedef {import("./client/held-tile.js").HeldTile} HeldTile
 * @typedef {import("./client/link.js").State} State
 * @typedef {import("./client/link.js").StateChange} StateChange
 * @typedef {import("./client/messages.js").Ack} Ack
 * @typedef {import("./client/messages.js").BBox} BBox
 * @typedef {import("./client/messages.js").Cursor} Cursor
 * @typedef {import("./client/messages.js").EventType} EventType
 * @typedef {import("./client/messages.js").Feature} Feature
 * @typedef {import("./client/messages.js").Geometry} Geometry
 * @typedef {import("./client/messages.js").SubscriptionInfo} SubscriptionInfo
 * @typedef {import("./client/messages.js").TilesetInfo} TilesetInfo
 * @typedef {import("./client/messages.js").ZoomRange} ZoomRange
 * @typedef {import("./client/pictures.js").Picture} Picture
 * @typedef {import("./client/pictures.js").Pictures} Pictures
 * @typedef {import("./client/subscription.js").Ready} Ready
 * @typedef {import("./client/tile-notice-subscription.js").TileNotice} TileNotice
 * @typedef {import("./client/tile-notice-subscription.js").TileNoticeEvents} TileNoticeEvents
 * @typedef {import("./client/tile-notice-subscription.js").TileNoticeOptions} TileNoticeOptions
 * @typedef {import("./client/tile-notice-subscription.js").TileNoticeView} TileNoticeView
 * @typedef {import("./client/tile-subscription.js").TileChange} TileChange
 * @typedef {import("./client/tile-subscription.js").TileEvents} TileEvents
 * @typedef {import("./client/tile-subscription.js").TileOptions} TileOptions
 * @typedef {import("./client/tile-subscription.js").TileView} TileView
 */
