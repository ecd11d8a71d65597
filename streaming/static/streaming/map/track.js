/**
 * The motion of one point feature between the positions that arrive: it glides from where it is drawn to where it is reported, in about
 * the time until the next report, and leaves a short trail. Positions are fractions of the Mercator world.
 */
import { FeatureHistory } from "./feature-history.js";
import { toX, toY } from "./mercator.js";

const TRAIL = 14;
const SHORTEST = 150;
const LONGEST = 12_000;
/** Further than this (a fraction of the world) is a correction, not a movement. */
const LEAP = 0.02;

export class Track {
  /** @param {import("./symbols.js").Symbols} symbols how it is drawn @param {boolean} arrives whether it is pointed at as new */
  constructor(key, feature, now, symbols, arrives = true) {
    this.key = key;
    this.symbols = symbols;
    this.trail = new Float64Array(TRAIL * 2);
    this.trailLength = 0;
    this.interval = 1000;
    this.updated = now;
    this.born = arrives ? now : -Infinity;
    this.moving = false;
    /** Of its numbers, once they have changed. @type {FeatureHistory | null} */
    this.history = null;
    this.#read(feature);
    [this.x, this.y] = [this.toX, this.toY];
    [this.fromX, this.fromY, this.angle] = [this.x, this.y, this.toAngle];
  }

  update(feature, now, smooth) {
    this.interval = Math.max(SHORTEST, Math.min(LONGEST, 0.6 * this.interval + 0.4 * (now - this.updated)));
    this.history ??= new FeatureHistory(this.feature.properties ?? {}, this.updated);
    this.history.add(feature.properties ?? {}, now);
    this.updated = now;
    const [oldX, oldY] = [this.toX, this.toY];
    this.#read(feature);
    if (this.toX === oldX && this.toY === oldY) return;
    this.#leaveTrail(oldX, oldY);
    this.#wrap();
    [this.fromX, this.fromY, this.fromAngle] = [this.x, this.y, this.angle];
    const leap = Math.abs(this.toX - this.x) + Math.abs(this.toY - this.y) > LEAP;
    if (leap) this.trailLength = 0;
    this.moving = smooth && !leap;
    if (!this.moving) [this.x, this.y, this.angle] = [this.toX, this.toY, this.toAngle];
  }

  /** Move to where it is at this time. */
  advance(now) {
    const fraction = (now - this.updated) / this.interval;
    if (fraction >= 1) {
      this.moving = false;
      [this.x, this.y, this.angle] = [this.toX, this.toY, this.toAngle];
      return;
    }
    this.x = this.fromX + (this.toX - this.fromX) * fraction;
    this.y = this.fromY + (this.toY - this.fromY) * fraction;
    if (this.toAngle !== null) this.angle = this.fromAngle + shortest(this.toAngle - this.fromAngle) * Math.min(1, fraction * 2.5);
  }

  /** Draw it in another way. @param {import("./symbols.js").Symbols} symbols */
  restyle(symbols) {
    this.symbols = symbols;
    this.#look();
    if (!this.moving || this.angle === null) this.angle = this.toAngle;
    this.fromAngle ??= this.angle;
  }

  #read(feature) {
    const [longitude, latitude] = feature.geometry.coordinates;
    this.feature = feature;
    this.toX = toX(longitude);
    this.toY = toY(latitude);
    this.#look();
  }

  #look() {
    const { symbols, feature } = this;
    this.step = symbols.stepOf(feature);
    this.icon = symbols.iconOf(feature);
    this.size = symbols.sizeOf(feature, this.icon);
    this.toAngle = symbols.angleOf(feature);
    this.label = symbols.labelOf(feature);
  }

  #leaveTrail(x, y) {
    if (this.trailLength === TRAIL) this.trail.copyWithin(0, 2);
    else this.trailLength += 1;
    this.trail[this.trailLength * 2 - 2] = x;
    this.trail[this.trailLength * 2 - 1] = y;
  }

  /** Over the date line the short way round. */
  #wrap() {
    const turns = Math.round(this.toX - this.x);
    if (turns === 0) return;
    this.x += turns;
    for (let place = 0; place < this.trailLength; place += 1) this.trail[place * 2] += turns;
  }
}

function shortest(angle) {
  return ((((angle + Math.PI) % (2 * Math.PI)) + 2 * Math.PI) % (2 * Math.PI)) - Math.PI;
}
