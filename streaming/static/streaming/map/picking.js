/** From the pointer (or the Enter key) to a feature: what is under it is named, and what is clicked has its card. */
const HOVER_REACH = 14;
const TAP_REACH = 24;

/**
 * @param {L.Map} map @param {object} overlay @param {import("./card.js").Card} card @param {import("./hover-label.js").HoverLabel} label
 * @param {import("./area.js").AreaTool} area
 */
export function letPick(map, overlay, card, label, area) {
  const box = map.getContainer();
  map.on("mousemove", ({ containerPoint, originalEvent }) => {
    if (area.mode || originalEvent.pointerType === "touch") return;
    const target = overlay.pick(containerPoint, HOVER_REACH);
    box.classList.toggle("over-feature", Boolean(target));
    if (target && target.drawable !== card.target?.drawable) label.show(target, containerPoint);
    else label.hide();
  });
  map.on("click", ({ containerPoint }) => !area.mode && pin(containerPoint, TAP_REACH));
  map.on("mouseout", () => label.hide());
  box.addEventListener("keydown", ({ key, target }) => {
    if (key === "Enter" && target === box && !area.mode) pin(map.getSize().divideBy(2), Infinity);
  });

  function pin(place, reach) {
    const target = overlay.pick(place, reach);
    label.hide();
    card.hide();
    if (!target) return;
    card.show(target);
    card.place(overlay.whereIs(target) ?? place);
  }
}
