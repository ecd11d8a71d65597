/** Numbers for people. */
const whole = new Intl.NumberFormat("en");
const UNITS = ["B", "KB", "MB", "GB"];

export const count = (number) => whole.format(number);

/** @param {number | null} rate null: not known yet */
export const rate = (number) => (number === null ? "–" : number < 10 && number > 0 ? number.toFixed(1) : whole.format(Math.round(number)));

export function bytes(number) {
  const step = Math.min(Math.floor(Math.log2(Math.max(number, 1)) / 10), UNITS.length - 1);
  return `${(number / 1024 ** step).toFixed(step ? 1 : 0)} ${UNITS[step]}`;
}

export function ago(seconds) {
  const [size, name] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86_400 ? [3600, "h"] : [86_400, "d"];
  return `${Math.max(0, Math.floor(seconds / size))} ${name}`;
}

/** A value of a chart with its unit. @param {number | null | undefined} value @param {{unit: string, rate: boolean}} chart */
export function figure(value, { unit, rate: perSecond }) {
  if (value === null || value === undefined) return "–";
  if (unit === "s") return value >= 1 ? `${value.toFixed(1)} s` : `${Math.round(value * 1000)} ms`;
  if (unit === "cores") return value.toFixed(2);
  const text = unit === "B" ? bytes(value) : Number.isInteger(value) ? count(value) : rate(value);
  return perSecond ? `${text}/s` : text;
}
