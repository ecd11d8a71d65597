/** The charted measures over a period, as the topic `monitor` tells them: columns of values, and what a chart shows of them. No page. */

/** @typedef {{title: string, unit: string, rate: boolean, over: "sum" | "max" | "min", lines: {measure: string, label: string, split: string, help: string}[]}} Chart */
/** @typedef {{label: string, values: (number | null)[]}} Line */

export const PERIODS = { "5m": 300, "1h": 3600, "24h": 86_400 };
/** Frames further apart than this many steps have a gap between them. */
const GAP_STEPS = 2.5;

export class Series {
  /** @param {string} period one of `PERIODS` @param {number} step seconds between two frames */
  constructor(period, step) {
    this.period = period;
    this.span = PERIODS[period];
    this.step = step;
    /** @type {number[]} seconds since 1970 */
    this.times = [];
    /** @type {Map<string, (number | null)[]>} */
    this.total = new Map();
    /** @type {Map<string, {name: string, lines: Map<string, (number | null)[]>}>} */
    this.nodes = new Map();
  }

  /** What was before, from the answer to `history`. */
  load({ times, total, nodes = {} }) {
    this.times = times;
    this.total = new Map(Object.entries(total));
    this.nodes = new Map(Object.entries(nodes).map(([node, { name, lines }]) => [node, { name, lines: new Map(Object.entries(lines)) }]));
  }

  get last() {
    return this.times.at(-1) ?? 0;
  }

  /** The newest frame; one that is already there is left out. */
  append(frame) {
    if (frame.at <= this.last) return;
    const before = this.times.length;
    this.times.push(frame.at);
    extend(this.total, frame.total, before, 0);
    for (const [node, { name }] of Object.entries(frame.nodes)) {
      if (!this.nodes.has(node)) this.nodes.set(node, { name, lines: new Map([["", new Array(before).fill(null)]]) });
    }
    for (const [node, { lines }] of this.nodes) {
      const report = frame.nodes[node];
      const there = lines.values().next().value ?? [];
      extend(lines, report ? { "": 1, ...report.values } : null, before, 0, there);
    }
    this.#trim(frame.at - this.span);
  }

  #trim(since) {
    const old = this.times.findIndex((at) => at >= since);
    if (old <= 0) return;
    const columns = [this.total, ...[...this.nodes.values()].map(({ lines }) => lines)];
    this.times = this.times.slice(old);
    for (const lines of columns) for (const [line, values] of lines) lines.set(line, values.slice(old));
    for (const [node, { lines }] of this.nodes) if ([...lines.values()].every((values) => values.every((value) => value === null))) this.nodes.delete(node);
  }

  /** What a chart shows, all processes together. @param {Chart} chart @returns {Line[]} */
  lines(chart) {
    const zeros = () => this.times.map(() => 0);
    const found = chart.lines.flatMap(({ measure, label, split }) =>
      split
        ? [...this.total].filter(([line]) => line.startsWith(`${measure}|`)).map(([line, values]) => ({ label: line.slice(measure.length + 1), values }))
        : [{ label, values: this.total.get(measure) ?? zeros() }],
    );
    const said = found.filter(({ values }) => values.some((value) => value)).sort((a, b) => a.label.localeCompare(b.label));
    return said.length ? said : [{ label: chart.lines.length === 1 && !chart.lines[0].split ? chart.lines[0].label : "none", values: zeros() }];
  }

  /** Some measures added up, whatever they are split by. @param {string[]} measures */
  sum(measures) {
    const found = [...this.total].filter(([line]) => measures.includes(line.split("|")[0])).map(([, values]) => values);
    return this.times.map((_, place) => found.reduce((sum, values) => sum + (values[place] ?? 0), 0));
  }

  /** The same, a line for each process. @param {Chart} chart @returns {Line[]} */
  byProcess(chart) {
    const add = chart.over === "sum" ? (a, b) => a + b : Math.max;
    return [...this.nodes.values()]
      .map(({ name, lines }) => {
        const there = lines.values().next().value ?? [];
        const values = this.times.map((_, place) => (there[place] === null || there[place] === undefined ? null : 0));
        for (const [line, column] of lines) {
          if (!chart.lines.some(({ measure, split }) => (split ? line.startsWith(`${measure}|`) : line === measure))) continue;
          column.forEach((value, place) => {
            if (value !== null && values[place] !== null) values[place] = add(values[place], value);
          });
        }
        return { label: name, values };
      })
      .sort((a, b) => a.label.localeCompare(b.label));
  }

  /** Times and values with a moment of nothing in each gap, so that no line is drawn across. @param {Line[]} lines */
  withGaps(lines) {
    const times = [];
    const columns = lines.map(() => /** @type {(number | null)[]} */ ([]));
    this.times.forEach((at, place) => {
      if (place && at - this.times[place - 1] > GAP_STEPS * this.step) {
        times.push(this.times[place - 1] + this.step);
        for (const column of columns) column.push(null);
      }
      times.push(at);
      lines.forEach(({ values }, line) => columns[line].push(values[place] ?? null));
    });
    return [times, ...columns];
  }
}

/** One more value in each column: what is not told is 0, or nothing of a process that is not there. */
function extend(columns, values, before, absent, there = null) {
  for (const line of Object.keys(values ?? {})) {
    if (!columns.has(line)) columns.set(line, there ? there.map((value) => (value === null ? null : absent)).slice(0, before) : new Array(before).fill(absent));
  }
  for (const [line, column] of columns) column.push(values ? (values[line] ?? absent) : null);
}

/** Now, on average and at most. @param {(number | null)[]} values */
export function summary(values) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return { now: null, mean: null, most: null };
  return { now: values.at(-1) ?? null, mean: known.reduce((sum, value) => sum + value, 0) / known.length, most: Math.max(...known) };
}
