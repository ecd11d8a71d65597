/** Whether a socket is connected, in a word and a colour. */
import { setText } from "../map/dom.js";
import { gettext } from "../map/gettext.js";

const TEXTS = { connecting: gettext("Connecting…"), open: gettext("Connected"), reconnecting: gettext("Not connected; trying again…") };

/** @param {import("../vendor/phoenix/phoenix.mjs").Socket} socket @param {HTMLElement} badge */
export function showConnection(socket, badge) {
  const enter = (state) => {
    badge.dataset.state = state;
    document.documentElement.dataset.connection = state === "open" ? "open" : "closed";
    setText(badge, TEXTS[state]);
  };
  enter("connecting");
  socket.onOpen(() => enter("open"));
  socket.onClose(() => enter("reconnecting"));
  socket.onError(() => enter("reconnecting"));
}
