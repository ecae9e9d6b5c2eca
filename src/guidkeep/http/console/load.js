// Reads /metrics, and computes rates and times between two readings.

/** The routes that count as requests for records; the console's own /metrics and /stats do not. */
const ROUTES = /^\/(guid|bulk|export)\b/;

/** Parses a reading: requests by kind, with their times, and the cache's counters. */
export function reading(text, at) {
  const made = { at, kinds: new Map(), hits: 0, misses: 0 };
  for (const line of text.split("\n")) {
    const found = line.match(/^guidkeep_(\w+?)(?:\{(.*)\})? (\S+)$/);
    if (found) take(made, found[1], found[2] ?? "", Number(found[3]));
  }
  return made;
}

function take(made, name, labels, value) {
  if (name === "cache_hits_total") made.hits += value;
  else if (name === "cache_misses_total") made.misses += value;
  else if (name.startsWith("request_seconds_")) takeRequest(made, name.slice(16), labels, value);
}

function takeRequest(made, part, labels, value) {
  const label = Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, text]) => [name, text]));
  if (!ROUTES.test(label.route)) return;
  const name = `${label.method} ${label.route}`;
  if (!made.kinds.has(name)) made.kinds.set(name, { count: 0, refused: 0, failed: 0, buckets: new Map() });
  const kind = made.kinds.get(name);
  if (part === "bucket") {
    const bound = label.le === "+Inf" ? Infinity : Number(label.le);
    kind.buckets.set(bound, (kind.buckets.get(bound) ?? 0) + value);
  } else if (part === "count") {
    kind.count += value;
    if (label.status >= "500") kind.failed += value;
    else if (label.status >= "400") kind.refused += value;
  }
}

/** The values between two readings; null: the service was restarted in between. */
export function between(before, after) {
  const seconds = (after.at - before.at) / 1000;
  const whole = { count: 0, buckets: new Map() };
  for (const [name, kind] of after.kinds) {
    const grown = growth(before.kinds.get(name), kind);
    whole.count += grown.count;
    for (const [bound, count] of grown.buckets) whole.buckets.set(bound, (whole.buckets.get(bound) ?? 0) + count);
  }
  const [hits, misses] = [after.hits - before.hits, after.misses - before.misses];
  if (whole.count < 0 || hits < 0 || misses < 0) return null;
  return {
    rate: whole.count / seconds,
    median: quantile(whole.buckets, 0.5),
    slowest: quantile(whole.buckets, 0.99),
    hitRate: hits + misses ? hits / (hits + misses) : null,
  };
}

function growth(before, after) {
  const buckets = [...after.buckets].map(([bound, count]) => [bound, count - (before?.buckets.get(bound) ?? 0)]);
  return { count: after.count - (before?.count ?? 0), buckets: new Map(buckets) };
}

/** The quantile of a histogram, in seconds; null: there were no requests. */
export function quantile(buckets, share) {
  const sorted = [...buckets].sort(([one], [other]) => one - other);
  const all = sorted.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  const rank = share * all;
  let [lower, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank) return bound === Infinity ? lower : lower + (bound - lower) * ((rank - below) / (count - below));
    [lower, below] = [bound, count];
  }
  return lower;
}
