/** One chart with its heading, its curve and a table of the same: what is seen at a glance, and what a screen reader reads. */
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { element, setText } from "../map/dom.js";
import { figure } from "./figures.js";
import { summary } from "./series.js";

const HEIGHT = 118;
const COLOURS = 8;
/** @type {Map<string, number>} The same name has the same colour in all charts. */
const places = new Map();

/** As the canvas needs it: without variables, and without `light-dark()`. */
function colour(label) {
  if (!places.has(label)) places.set(label, places.size % COLOURS);
  const probe = document.querySelector(".operating").appendChild(element("i"));
  probe.style.color = `var(--line-${places.get(label) + 1})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const faint = (color) => color.replace("rgb(", "rgba(").replace(")", ", 0.12)");

/** The least that the top of a chart is, by its unit: what is smaller is drawn as small. */
const LEAST = { "": 1, B: 1024, s: 0.05, cores: 0.1 };
const POWERS = Array.from({ length: 45 }, (_, power) => 2 ** power);

const clock = (seconds, span) =>
  new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(span <= 300 ? { second: "2-digit" } : {}) });

/** Where on the page a chart is. @param {string} title */
export const anchor = (title) => `chart-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;

export class ChartCard {
  #plot = null;
  #drawn = "";
  #series = null;
  #lines = [];

  /** @param {import("./series.js").Chart} chart */
  constructor(chart) {
    this.chart = chart;
    this.now = element("b", { class: "chart-now" }, "–");
    this.canvas = element("div", { class: "chart-canvas" });
    this.tip = element("div", { class: "chart-tip", hidden: "" });
    this.rows = element("tbody");
    const help = chart.lines.map(({ help }) => help).filter(Boolean).join("; ");
    const head = element("tr", {}, ...["curve", "now", "mean", "most"].map((name) => element("th", { scope: "col" }, name)));
    this.node = element(
      "section",
      { class: "chart", id: anchor(chart.title), "data-chart": chart.title, "aria-label": chart.title },
      element("h3", { title: help }, element("span", {}, chart.title), this.now),
      element("div", { class: "chart-box" }, this.canvas, this.tip),
      element("table", { class: "plain" }, element("thead", {}, head), this.rows),
    );
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
  }

  /** @param {import("./series.js").Series} series @param {boolean} byProcess */
  show(series, byProcess) {
    this.#series = series;
    this.#lines = byProcess ? series.byProcess(this.chart) : series.lines(this.chart);
    const data = series.withGaps(this.#lines);
    const drawn = JSON.stringify([series.period, this.#lines.map(({ label }) => label)]);
    if (drawn !== this.#drawn || !this.#plot) this.#make(data, series.span);
    else this.#plot.setData(data, false);
    this.#drawn = drawn;
    const until = series.last || Date.now() / 1000;
    this.#plot.setScale("x", { min: until - series.span, max: until });
    this.#tell();
  }

  /** The colours of the page have changed. */
  recolour() {
    this.#drawn = "";
    if (this.#series) this.#make(this.#series.withGaps(this.#lines), this.#series.span);
  }

  #make(data, span) {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const quiet = style.getPropertyValue("--body-quiet-color").trim();
    const grid = { stroke: style.getPropertyValue("--hairline-color").trim(), width: 1 };
    const axis = { stroke: quiet, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const options = {
      width: Math.max(this.canvas.clientWidth, 120),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: true, auto: false }, y: { range: (_, least, most) => [0, Math.max(most ?? 0, LEAST[this.chart.unit]) * 1.1] } },
      series: [{}, ...this.#lines.map(({ label }) => ({ label, stroke: colour(label), fill: faint(colour(label)), width: 1.5, points: { show: false } }))],
      axes: [
        { ...axis, size: 22, space: 70, values: (_, at) => at.map((seconds) => clock(seconds, span)) },
        { ...axis, size: 56, space: 28, ...(this.chart.unit === "B" ? { incrs: POWERS } : {}), values: (_, at) => at.map((value) => figure(value, this.chart).replace("/s", "")) },
      ],
      hooks: { setCursor: [(plot) => this.#point(plot)] },
    };
    this.#plot = new uPlot(options, data, this.canvas);
    const until = this.#series.last || Date.now() / 1000;
    this.#plot.setScale("x", { min: until - span, max: until });
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #point(plot) {
    const { idx, left } = plot.cursor;
    this.tip.hidden = idx === null || idx === undefined || left < 0;
    if (this.tip.hidden) return;
    const values = this.#lines.map(({ label }, line) => element("div", {}, swatch(label), ` ${label} `, element("b", {}, figure(plot.data[line + 1][idx], this.chart))));
    this.tip.replaceChildren(element("time", {}, clock(plot.data[0][idx], 300)), ...values);
    this.tip.classList.toggle("left", left > plot.width / 2);
  }

  #tell() {
    const told = this.#lines.map(({ label, values }) => ({ label, ...summary(values) }));
    const known = told.map(({ now }) => now).filter((now) => now !== null);
    const total = this.chart.over === "sum" ? known.reduce((sum, now) => sum + now, 0) : Math.max(...known);
    setText(this.now, known.length ? figure(total, this.chart) : "–");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${this.chart.title}, now ${this.now.textContent}; the table below has the figures`);
    this.rows.replaceChildren(
      ...told.map(({ label, now, mean, most }) => {
        const cells = [now, mean, most].map((value) => element("td", {}, figure(value, this.chart)));
        return element("tr", {}, element("th", { scope: "row" }, swatch(label), ` ${label}`), ...cells);
      }),
    );
  }
}

function swatch(label) {
  const mark = element("i", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = colour(label);
  return mark;
}
