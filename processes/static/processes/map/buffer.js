// A buffer of what the map shows of a layer.
import { gettext, interpolate, LANGUAGE, ngettext, pgettext } from "../../streaming/map/gettext.js";
import { element } from "../dom.js";
import { freeName, required, resultField } from "./form.js";

const METRES_PER_DEGREE = 111_320;
const UNITS = { km: 1000, m: 1 };

export function bufferForm(page, layer, names) {
  const inView = page.featuresInView(layer.name);
  const selected = page.selectedFeature(layer.name);
  const sets = { selected: selected ? [selected] : [], view: inView };
  const what = element("select", { "data-testid": "task-what" },
    selected ? element("option", { value: "selected" }, gettext("The selected feature")) : null,
    element("option", { value: "view" }, inWords(inView.length)));
  const metres = goodDistance(page.viewport);
  const unit = metres >= 1000 ? "km" : "m";
  const distance = element("input", { type: "number", step: "any", inputmode: "decimal", value: metres / UNITS[unit], "data-testid": "task-distance" });
  const units = element("select", { "aria-label": gettext("Unit") }, ...Object.keys(UNITS).map((name) => element("option", { selected: name === unit }, name)));
  const dissolve = element("input", { type: "checkbox", class: "switch", role: "switch" });
  const result = resultField(freeName(page, names, `${layer.name}-buffer`));
  return {
    process: "buffer",
    title: interpolate(gettext("Buffer of %(layer)s"), { layer: layer.title }),
    layer: layer.name,
    fields: [
      { id: "features", label: pgettext("the features of a buffer", "Of"), elements: [what] },
      { id: "distance", label: gettext("Distance"), elements: [distance, units] },
      { id: "dissolve", label: gettext("One area of all together"), elements: [dissolve] },
      result.field,
    ],
    inputs() {
      const features = sets[what.value];
      if (!features.length) throw new Error(gettext("Nothing of this layer is in view; it may be switched off."));
      return {
        features: { value: { type: "FeatureCollection", features: features.map(plain) } },
        distance: required(Number(distance.value) * UNITS[units.value], gettext("Distance: a number other than 0 is needed")),
        dissolve: dissolve.checked,
        publish_to: result.read(),
      };
    },
  };
}

function inWords(count) {
  const text = ngettext("What is in view: %(count)s feature", "What is in view: %(count)s features", count);
  return interpolate(text, { count: count.toLocaleString(LANGUAGE) });
}

function plain({ id, geometry, properties }) {
  return { type: "Feature", ...(id !== undefined && id !== null && { id }), geometry, properties: properties ?? {} };
}

/** A round number of metres, about a fiftieth of the height of the view. */
function goodDistance([, south, , north]) {
  const metres = ((north - south) * METRES_PER_DEGREE) / 50;
  const power = 10 ** Math.floor(Math.log10(metres));
  return [5, 2, 1].find((step) => step * power <= metres) * power;
}
