import { followFigures } from "./feed-figures.js";

followFigures();
