// Mistakes: each has to be refused. Where a line is not an error, TypeScript reports the directive above it.
import { type Change, GeoStreamClient, type GeoStreamError } from "geostream-client";

// @ts-expect-error a client needs an address
new GeoStreamClient();
// @ts-expect-error of formats there are two
new GeoStreamClient("/ws", { format: "Xml" });
// @ts-expect-error no such option
new GeoStreamClient("/ws", { tokn: "a.b.c" });
// @ts-expect-error milliseconds are numbers
new GeoStreamClient("/ws", { pingInterval: "1s" });
// @ts-expect-error this module cannot decode
new GeoStreamClient("/ws", { msgpack: { encode: () => new Uint8Array() } });

const client = new GeoStreamClient("/ws");
// @ts-expect-error "lost" is no state
console.log(client.state === "lost");
// @ts-expect-error the state is to be read
client.state = "open";
// @ts-expect-error no such event
client.addEventListener("opened", () => {});
// @ts-expect-error only one that reconnects says when
client.addEventListener("state", ({ detail }) => detail.retryAt);

// @ts-expect-error a layer's name, or null for all
client.subscribeFeatures();
// @ts-expect-error four numbers
client.subscribeFeatures("flights", { bbox: [5, 45, 11] });
// @ts-expect-error no such condition
client.subscribeFeatures("flights", { boundingBox: [5, 45, 11, 48] });
const flights = client.subscribeFeatures("flights");
// @ts-expect-error presentation is not changed
flights.update({ snapshot: false });
// @ts-expect-error tiles are not features
flights.addEventListener("tile", () => {});
// @ts-expect-error an error is no change
flights.addEventListener("error", ({ detail }: CustomEvent<Change>) => detail);
// @ts-expect-error changes come one by one
flights.addEventListener("change", ({ detail }) => detail.length);
// @ts-expect-error a feature may have no geometry
flights.addEventListener("change", ({ detail }) => detail.feature.geometry.type);
// @ts-expect-error it may not be there
flights.get("AFR123").properties;

// @ts-expect-error a view is needed
client.subscribeTiles({ tileset: "relief" });
// @ts-expect-error zooms are a range
client.subscribeTiles({ bbox: [5, 45, 11, 48], zoomRange: 6 });
const relief = client.subscribeTiles({ bbox: [5, 45, 11, 48], zoomRange: { start: 4, end: 6 } });
// @ts-expect-error conditions of features
relief.update({ filter: "altitude_ft > 30000" });
// @ts-expect-error a tile has bytes or pixels
relief.addEventListener("tile", ({ detail }) => detail.bytes.length);

// @ts-expect-error the server sends no tiles here
client.subscribeTileNotices({ delta: [] });
// @ts-expect-error all may have changed
client.subscribeTileNotices().addEventListener("changed", ({ detail }) => detail.tiles.length);

// @ts-expect-error no such type of events
client.subscribeEvents(["progres"]);
// @ts-expect-error this is no subscription
client.unsubscribe(7);
// @ts-expect-error a code is a text
const code: number = ({} as GeoStreamError).code;
console.log(code);

// What is between the modules of the client is nobody else's.
// @ts-expect-error
flights.receive({});
// @ts-expect-error
flights.emit("change", {});
// @ts-expect-error
flights.channel;
// @ts-expect-error
flights.position;
// @ts-expect-error
flights.conditions;
// @ts-expect-error
flights.presentation;
// @ts-expect-error
relief.lost();
// @ts-expect-error
relief.get("relief", 4, 8, 5)?.doubtful;
