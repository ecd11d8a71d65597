/** The cells of a large layer: coloured by how many features are in each. */
import { LayerScene } from "./layer-scene.js";
import { COUNT, formatNumber } from "./properties.js";

const OPACITY = 0.55;

export class CellScene extends LayerScene {
  opacity = OPACITY;

  constructor(layer, theme) {
    super(layer, theme);
    this.colourBy(COUNT);
  }

  /** Cells have no other measure; there are few, and their counts go up and down, so that the ramp is fitted to them each time. */
  survey() {
    return true;
  }

  /** What the card of a cell is called. */
  titleOf({ properties }) {
    return `${formatNumber(properties.count)} ${properties.count === 1 ? "feature" : "features"}`;
  }
}
