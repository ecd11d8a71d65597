/** The buttons at the edge of the map: full screen, and a dialog with the link of what is shown and the markup that embeds it. */
import { element } from "./dom.js";
import { gettext } from "./gettext.js";

const L = globalThis.L;
const ICONS = {
  full: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  share: "M8 10V2.5M5 5l3-3 3 3M3 8.5v5h10v-5",
};

function button(label, icon, run) {
  const made = element("button", { type: "button", class: "icon-button map-button", "aria-label": label, title: label });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", icon);
  svg.append(path);
  made.append(svg);
  made.addEventListener("click", run);
  return made;
}

function field(label, text) {
  const copy = element("button", { type: "button", class: "button" }, gettext("Copy"));
  const input = element("input", { type: "text", readonly: "", value: text, "aria-label": label });
  input.addEventListener("focus", () => input.select());
  copy.addEventListener("click", async () => {
    input.select();
    await navigator.clipboard?.writeText(text).catch(() => {}); // it is selected, at least
    copy.textContent = gettext("Copied");
  });
  return element("label", { class: "share-field" }, element("span", {}, label), element("span", { class: "share-line" }, input, copy));
}

/** A dialog that is made anew each time, for the address changes with the map. */
function openShare() {
  const embedded = `${location.href}&embed=1`.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const markup = `<iframe src="${embedded}" title="GeoStream" width="800" height="500" loading="lazy" allowfullscreen></iframe>`;
  const close = element("button", { type: "button", class: "button primary" }, gettext("Close"));
  const dialog = element(
    "dialog",
    { class: "glass share-dialog", "aria-labelledby": "share-title" },
    element("h2", { id: "share-title" }, gettext("Share what the map shows")),
    field(gettext("Link"), location.href),
    field(gettext("Embed in a page"), markup),
    element("p", { class: "hint" }, gettext("Pages of other sites may embed it where the server names them (GEOSTREAM_FRAME_ANCESTORS).")),
    element("div", { class: "share-buttons" }, close),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}

/** @param {object} map */
export function addMapButtons(map) {
  const control = L.control({ position: "topright" });
  control.onAdd = () => {
    const full = document.fullscreenEnabled ? [button(gettext("Full screen"), ICONS.full, toggleFullScreen)] : [];
    const bar = element("div", { class: "leaflet-bar map-buttons" }, ...full, button(gettext("Share or embed"), ICONS.share, openShare));
    L.DomEvent.disableClickPropagation(bar);
    return bar;
  };
  control.addTo(map);
}
