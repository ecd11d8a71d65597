/** Times of features, read by the table that the server uses (`streaming/core/datetimes.py`); the vectors of both are the same. */
const TIME =
  /^\s*(\d{4})([-/]?)(\d\d)\2(\d\d)(?:(?:[Tt]| +)(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?(?: ?(?:([Zz]|UTC)|([+-])(\d\d)(?::?(\d\d))?))?)?\s*$/;
/** A smaller number is seconds since 1970, a larger one milliseconds. */
const SECONDS_BELOW = 1e11;
const EARLIEST = -62_135_596_800_000;
const LATEST = 253_402_300_800_000;

/** @param {unknown} value of a property @returns {number} milliseconds since 1970, NaN if it is no time */
export function toTime(value) {
  if (typeof value === "number") return Math.abs(value) < SECONDS_BELOW ? value * 1000 : value >= EARLIEST && value < LATEST ? value : NaN;
  const parts = typeof value === "string" && TIME.exec(value);
  if (!parts) return NaN;
  const [year, month, day, hour, minute, second, zoneHour, zoneMinute] = [1, 3, 4, 5, 6, 7, 11, 12].map((index) => Number(parts[index] ?? 0));
  const fraction = Number(`0.${(parts[8] ?? "0").slice(0, 6)}`);
  const midnight = new Date(0).setUTCFullYear(year, month - 1, day);
  const exists = year > 0 && new Date(midnight).getUTCMonth() === month - 1 && day > 0;
  const time = (hour * 60 + minute) * 60 + second;
  if (!exists || minute > 59 || second > 60 || time > 86_400 || (hour === 24 && fraction) || zoneHour > 23 || zoneMinute > 59) return NaN;
  const offset = (zoneHour * 60 + zoneMinute) * (parts[10] === "-" ? -60 : 60);
  return midnight + (time - offset + fraction) * 1000;
}
