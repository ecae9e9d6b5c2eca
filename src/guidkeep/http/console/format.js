// Times and numbers as they are shown. Instants are in UTC, as the service has them.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const YEAR = 365 * DAY;

const two = (number) => String(number).padStart(2, "0");

/** Time left, from seconds; coarser the longer it is, unless it is to be exact. */
export function left(seconds, exact = false) {
  if (exact && seconds >= DAY) return `${Math.floor(seconds / DAY)} d ${clock(seconds % DAY)}`;
  if (seconds >= YEAR) return `${Math.floor(seconds / YEAR)} y ${Math.floor((seconds % YEAR) / DAY)} d`;
  if (seconds >= DAY) return `${Math.floor(seconds / DAY)} d ${two(Math.floor((seconds % DAY) / HOUR))} h`;
  return seconds >= HOUR ? clock(seconds) : clock(seconds).slice(3);
}

function clock(seconds) {
  return [seconds / HOUR, (seconds % HOUR) / MINUTE, seconds % MINUTE].map((part) => two(Math.floor(part))).join(":");
}

/** How long that text stays true: seconds until it is another. */
export function stays(seconds) {
  if (seconds >= YEAR) return (seconds % DAY) + 1;
  if (seconds >= DAY) return (seconds % HOUR) + 1;
  return 1;
}

/** An instant in UTC, from Unix time in seconds. */
export function instant(seconds) {
  return written(new Date(seconds * 1000));
}

/** A year beyond 9999, which a zone can make of the last instant, has no sign. */
function written(date) {
  return date.toISOString().replace(/^\+0*|\.\d+Z$/g, "").replace("T", " ");
}

/** The same by the browser's zone. */
export function local(seconds) {
  const date = new Date(seconds * 1000);
  return written(new Date(date.getTime() - date.getTimezoneOffset() * 60_000));
}

/** The browser's zone at that instant, as in UTC+02:00. */
export function zone(seconds) {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The time of day by the browser's clock, from milliseconds. */
export function timeOfDay(milliseconds) {
  return local(milliseconds / 1000).slice(11);
}

/** A count, its thousands apart. */
export function count(number) {
  return number.toLocaleString("en-GB", { maximumFractionDigits: 0 });
}

/** A rate with as many digits as say something. */
export function rate(number) {
  return number >= 100 ? count(number) : number.toFixed(number >= 10 ? 1 : 2);
}

/** A duration from seconds, in the unit that suits it. */
export function took(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  return seconds < 0.9995 ? `${digits(seconds * 1000)} ms` : `${digits(seconds)} s`;
}

function digits(number) {
  return number < 10 ? number.toFixed(1) : String(Math.round(number));
}

/** A share from 0 to 1, rounded down: 100 % is all. */
export function share(fraction) {
  if (fraction == null) return "–";
  return fraction === 1 ? "100 %" : `${(Math.floor(fraction * 1000 + 1e-9) / 10).toFixed(1)} %`;
}

/** A day of the forecast, as in "Wed 25 Nov". */
export function day(date) {
  const parts = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };
  return new Date(`${date}T00:00:00Z`).toLocaleDateString("en-GB", parts).replace(",", "");
}
