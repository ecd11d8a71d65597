/** The last minute of a rate, one value a second, or any other values, as a small filled curve. */
const SECONDS = 60;

export class Sparkline {
  #values = new Array(SECONDS).fill(0);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
  }

  push(value) {
    this.#values.shift();
    this.#values.push(value);
    this.draw();
  }

  /** @param {number[]} values instead of those of before */
  show(values) {
    this.#values = values;
    this.draw();
  }

  draw() {
    if (this.#values.length < 2) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = globalThis.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const top = Math.max(1, ...this.#values);
    const line = new Path2D();
    this.#values.forEach((value, place) => line.lineTo((place / (this.#values.length - 1)) * width, height - 2 - (value / top) * (height - 5)));
    const area = new Path2D(line);
    area.lineTo(width, height);
    area.lineTo(0, height);
    const colour = getComputedStyle(this.canvas).color;
    const gradient = context.createLinearGradient(0, 0, 0, height);
    gradient.addColorStop(0, colour);
    gradient.addColorStop(1, "transparent");
    context.globalAlpha = 0.3;
    context.fillStyle = gradient;
    context.fill(area);
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.stroke(line);
  }
}
