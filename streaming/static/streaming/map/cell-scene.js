/** The cells of a large layer: coloured by how many features are in each. What is drawn anew is what has another colour. */
import { interpolate, ngettext } from "./gettext.js";
import { LayerScene } from "./layer-scene.js";
import { rampFor } from "./palette.js";
import { COUNT, formatNumber } from "./properties.js";

const OPACITY = 0.55;
/** Once so large a part of the cells has changed, the ramp is fitted to them again. */
const CHANGED = 0.25;

export class CellScene extends LayerScene {
  opacity = OPACITY;
  #changed = 0;

  constructor(layer, theme) {
    super(layer, theme);
    this.setStyle({ version: 1, color: rampFor(COUNT) });
  }

  /** @returns {boolean} whether the legend changed */
  apply(changes, ...rest) {
    const [before, count] = [String(this.domain), this.shapes.size];
    this.#changed += changes.length;
    return super.apply(changes, ...rest) && (before !== String(this.domain) || count === 0);
  }

  /** Cells have no other measure; their counts go up and down, and the ramp is fitted to them. */
  survey() {
    if (this.#changed < this.shapes.size * CHANGED) return false;
    this.#changed = 0;
    return true;
  }

  /** The area of a cell is always the same. */
  shape(id, feature) {
    const known = this.shapes.get(id);
    if (!known) return super.shape(id, feature);
    known.feature = feature;
    this.restyle(known);
  }

  /** What the card of a cell is called. */
  titleOf({ properties }) {
    const text = ngettext("%(count)s feature", "%(count)s features", properties.count);
    return interpolate(text, { count: formatNumber(properties.count) });
  }
}
