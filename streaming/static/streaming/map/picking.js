/** From the pointer (or the Enter key) to the card of a feature. */
const HOVER_REACH = 14;
const TAP_REACH = 24;

/** @param {L.Map} map @param {object} overlay @param {import("./card.js").Card} card @param {import("./area.js").AreaTool} area */
export function letPick(map, overlay, card, area) {
  const box = map.getContainer();
  map.on("mousemove", ({ containerPoint, originalEvent }) => {
    if (card.pinned || area.mode || originalEvent.pointerType === "touch") return;
    const target = overlay.pick(containerPoint, HOVER_REACH);
    box.classList.toggle("over-feature", Boolean(target));
    if (!target) return card.hide();
    card.show(target, false);
    card.place(overlay.whereIs(target) ?? containerPoint);
  });
  map.on("click", ({ containerPoint }) => !area.mode && pin(containerPoint, TAP_REACH));
  map.on("mouseout", () => !card.pinned && card.hide());
  box.addEventListener("keydown", ({ key, target }) => {
    if (key === "Enter" && target === box && !area.mode) pin(map.getSize().divideBy(2), Infinity);
  });

  function pin(place, reach) {
    const target = overlay.pick(place, reach);
    card.hide();
    if (!target) return;
    card.show(target, true);
    card.place(overlay.whereIs(target) ?? place);
  }
}
