// Formats times and numbers. Instants are in UTC, as in the API.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const YEAR = 365 * DAY;

const two = (number) => String(number).padStart(2, "0");

/** Formats the time left, in seconds; a longer time is shown more coarsely, unless `exact`. */
export function left(seconds, exact = false) {
  if (exact && seconds >= DAY) return `${Math.floor(seconds / DAY)} d ${clock(seconds % DAY)}`;
  if (seconds >= YEAR) return `${Math.floor(seconds / YEAR)} y ${Math.floor((seconds % YEAR) / DAY)} d`;
  if (seconds >= DAY) return `${Math.floor(seconds / DAY)} d ${two(Math.floor((seconds % DAY) / HOUR))} h`;
  return seconds >= HOUR ? clock(seconds) : clock(seconds).slice(3);
}

function clock(seconds) {
  return [seconds / HOUR, (seconds % HOUR) / MINUTE, seconds % MINUTE].map((part) => two(Math.floor(part))).join(":");
}

/** Seconds until the text of `left` changes. */
export function stays(seconds) {
  if (seconds >= YEAR) return (seconds % DAY) + 1;
  if (seconds >= DAY) return (seconds % HOUR) + 1;
  return 1;
}

/** An instant in UTC, from Unix time in seconds. */
export function instant(seconds) {
  return written(new Date(seconds * 1000));
}

/** Removes the sign of a year beyond 9999, which a time zone can make of the last instant. */
function written(date) {
  return date.toISOString().replace(/^\+0*|\.\d+Z$/g, "").replace("T", " ");
}

/** An instant in the browser's time zone, from Unix time in seconds. */
export function local(seconds) {
  const date = new Date(seconds * 1000);
  return written(new Date(date.getTime() - date.getTimezoneOffset() * 60_000));
}

/** The browser's time zone at that instant, such as UTC+02:00. */
export function zone(seconds) {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The time of day by the browser's clock, from milliseconds. */
export function timeOfDay(milliseconds) {
  return local(milliseconds / 1000).slice(11);
}

/** A count, with its thousands separated. */
export function count(number) {
  return number.toLocaleString("en-GB", { maximumFractionDigits: 0 });
}

/** A rate with its significant digits. */
export function rate(number) {
  return number >= 100 ? count(number) : number.toFixed(number >= 10 ? 1 : 2);
}

/** A duration in seconds, formatted with a suitable unit. */
export function took(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  return seconds < 0.9995 ? `${digits(seconds * 1000)} ms` : `${digits(seconds)} s`;
}

function digits(number) {
  return number < 10 ? number.toFixed(1) : String(Math.round(number));
}

/** A share from 0 to 1 as a percentage, rounded down: only 1 is 100 %. */
export function share(fraction) {
  if (fraction == null) return "–";
  return fraction === 1 ? "100 %" : `${(Math.floor(fraction * 1000 + 1e-9) / 10).toFixed(1)} %`;
}

/** A day of the forecast, such as "Wed 25 Nov". */
export function day(date) {
  const parts = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };
  return new Date(`${date}T00:00:00Z`).toLocaleDateString("en-GB", parts).replace(",", "");
}
