// Hotspots: how many features of a live layer are in each hexagon, for as long as it is wanted.
import { gettext, interpolate, LANGUAGE } from "../../streaming/map/gettext.js";
import { element } from "../dom.js";
import { freeName, resultField } from "./form.js";

/** The cells of H3 from one corner to the opposite one, in kilometres, by resolution (twice the mean edge). */
const KILOMETRES = [2560, 970, 365, 138, 52, 20, 7.4, 2.8, 1.1, 0.4, 0.15];

/** `others`: whether hotspots run already, whose layer is theirs. One that is left over from hotspots that were stopped is empty. */
export function hotspotsForm(page, layer, names, others) {
  const usual = Math.max(0, Math.min(KILOMETRES.length - 1, Math.round(page.zoom * 0.72)));
  const size = element("select", { "data-testid": "task-size" },
    ...KILOMETRES.map((kilometres, resolution) => element("option", { value: resolution, selected: resolution === usual }, inWords(kilometres))));
  const result = resultField(freeName(page, names, `${layer.name}-hotspots`, !others));
  const filter = page.filter;
  return {
    process: "hotspots",
    title: interpolate(gettext("Hotspots of %(layer)s"), { layer: layer.title }),
    layer: layer.name,
    note: [
      gettext("The hexagons follow the layer until you stop them."),
      ...(filter ? [interpolate(gettext("Only features that match the filter %(filter)s are counted."), { filter })] : []),
    ].join(" "),
    fields: [{ id: "resolution", label: gettext("Cells"), elements: [size] }, result.field],
    inputs: () => ({ layer: layer.name, publish_to: result.read(), resolution: Number(size.value), ...(filter && { filter }) }),
  };
}

function inWords(kilometres) {
  const size = kilometres < 1 ? `${kilometres * 1000} m` : `${kilometres.toLocaleString(LANGUAGE)} km`;
  return interpolate(gettext("%(size)s across"), { size });
}
