/** Which area the page receives: one that is drawn, what the map shows, or everything. Event: `change`. */
import { AreaTool } from "./area.js";
import { byTestId } from "./dom.js";
import { viewportOf } from "./view.js";

export class AreaControl extends EventTarget {
  #map;
  #live;
  #panel;
  #tool;
  #follow = byTestId("follow-view");
  #clear = byTestId("draw-clear");

  /**
   * @param {object} map @param {import("./live.js").Live} live @param {import("./theme.js").Theme} theme @param {import("./panel.js").Panel} panel
   * @param {{area: object | null, follow: boolean}} address
   */
  constructor(map, live, theme, panel, { area, follow }) {
    super();
    this.#map = map;
    this.#live = live;
    this.#panel = panel;
    this.#tool = new AreaTool(map, theme);
    this.#wireTools();
    this.#follow.checked = follow;
    this.#follow.addEventListener("change", () => this.#toggleFollowing());
    this.#tool.show(area);
    this.#clear.disabled = !area;
    this.follow();
  }

  /** "box", "polygon" or null. */
  get mode() {
    return this.#tool.mode;
  }

  get follows() {
    return this.#follow.checked;
  }

  /** `{bbox}` or `{geometry}`, or null. */
  get drawn() {
    const { bbox, geometry } = this.#live.conditions;
    if (geometry) return { geometry };
    return bbox && !this.follows ? { bbox } : null;
  }

  /** The map shows something else. */
  follow() {
    if (this.follows) this.#live.apply({ bbox: viewportOf(this.#map) });
  }

  #set(conditions) {
    this.#live.apply({ bbox: null, geometry: null, ...(this.follows && { bbox: viewportOf(this.#map) }), ...conditions });
    this.#clear.disabled = this.drawn === null;
    this.dispatchEvent(new Event("change"));
  }

  #toggleFollowing() {
    const { bbox, geometry } = this.#live.conditions;
    if (bbox) this.#tool.show(geometry && { geometry });
    this.#set({ geometry });
  }

  #wireTools() {
    const buttons = { box: byTestId("draw-box"), polygon: byTestId("draw-polygon") };
    for (const [mode, button] of Object.entries(buttons)) button.addEventListener("click", () => this.#tool.start(mode));
    this.#tool.addEventListener("mode", () => {
      for (const [mode, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(this.mode === mode));
      document.getElementById("draw-hint").dataset.mode = this.mode ?? "";
      if (this.mode && matchMedia("(max-width: 640px)").matches) this.#panel.setOpen(false);
    });
    this.#tool.addEventListener("area", ({ detail }) => {
      if (detail.bbox) this.#follow.checked = false;
      this.#set(detail);
    });
    this.#clear.addEventListener("click", () => {
      this.#tool.show(null);
      this.#set({});
    });
  }
}
