/** The WebSocket of a page of operators: one for all that is live on it, with the session of the admin. */
import { Socket } from "../vendor/phoenix/phoenix.mjs";
import { byTestId } from "../map/dom.js";
import { showConnection } from "../channels/badge.js";

/** What the server has written into the page. */
export const config = JSON.parse(document.getElementById("page-config").textContent);

export const socket = new Socket(config.socket_url);

/** Open the socket once the channels are made, and say on the page how it is. */
export function connect() {
  showConnection(socket, byTestId("connection-state"));
  socket.connect();
}
