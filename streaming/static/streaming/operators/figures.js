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
