/**
 * The client of Tangram's documentation, as printed there. Around it is what a page has besides: the package as `Phoenix`, an address,
 * tokens, and somebody who listens to the event `update`.
 */
import * as Phoenix from "phoenix";
import WebSocket from "ws";

const [host, token, systemToken] = process.argv.slice(2);
globalThis.WebSocket = WebSocket;
globalThis.location = { protocol: "http:", host };

// Connect to the WebSocket
const socket = new Phoenix.Socket("/websocket", {
  params: { userToken: token },
});
socket.connect();
// Join a channel
const channel = socket.channel("system", { token: systemToken });
channel
  .join()
  .receive("ok", (response) => console.log("Joined successfully", response))
  .receive("error", (response) => console.log("Join failed", response));
// Listen for events
channel.on("datetime", (payload) => {
  console.log("Current time:", payload.response.datetime);
});
// Send events
channel.push("custom_event", { message: "Hello from client" });

channel.on("update", (payload) => console.log("Update:", JSON.stringify(payload)));
