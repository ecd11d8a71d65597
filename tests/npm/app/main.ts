// An application that has the package from npm: what it receives is told by its title.
import { type ClientOptions, GeoStreamClient } from "geostream-client";

const options: ClientOptions = JSON.parse(new URLSearchParams(location.search).get("options") ?? "{}");
const client = new GeoStreamClient("/ws", options);
const flights = client.subscribeFeatures("flights");
flights.addEventListener("change", ({ detail: { type, id } }) => (document.title = `${type} ${id}`));
await client.connect();
