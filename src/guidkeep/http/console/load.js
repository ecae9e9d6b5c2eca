// The load: the numbers of /stats/service, and what two readings of them say about the time between.

/** The routes of requests for records; what the console itself asks about the service is not counted. */
const ROUTES = new Set(["/guid", "/guid/{guid}", "/bulk", "/export"]);

/** A reading at a time: the cache's hits and misses, and the requests by method and route. */
export function reading({ cache: { hits, misses }, requests: { bounds, kinds: rows } }, at) {
  const kinds = new Map();
  for (const { route, method, status, count, counts } of rows) {
    if (!ROUTES.has(route)) continue;
    const name = `${method} ${route}`;
    const kind = kinds.get(name) ?? { count: 0, refused: 0, failed: 0, counts: counts.map(() => 0) };
    kind.count += count;
    if (status >= 500) kind.failed += count;
    else if (status >= 400) kind.refused += count;
    kind.counts = added(kind.counts, counts);
    kinds.set(name, kind);
  }
  return { at, hits, misses, bounds, kinds };
}

/** The values between two readings; null: the service was restarted in between. */
export function between(before, after) {
  const seconds = (after.at - before.at) / 1000;
  const [earlier, later] = [whole(before), whole(after)];
  const counts = later.counts.map((count, at) => count - earlier.counts[at]);
  const count = later.count - earlier.count;
  const [hits, misses] = [after.hits - before.hits, after.misses - before.misses];
  if (count < 0 || hits < 0 || misses < 0) return null;
  return {
    rate: count / seconds,
    median: quantile(after.bounds, counts, 0.5),
    slowest: quantile(after.bounds, counts, 0.99),
    hitRate: hits + misses ? hits / (hits + misses) : null,
  };
}

/** All requests of a reading: their number, and the number in each interval. */
function whole({ bounds, kinds }) {
  const none = { count: 0, counts: Array(bounds.length + 1).fill(0) };
  return [...kinds.values()].reduce(
    (all, kind) => ({ count: all.count + kind.count, counts: added(all.counts, kind.counts) }), none);
}

function added(some, others) {
  return some.map((count, at) => count + others[at]);
}

/**
 * The quantile of a histogram, in seconds; null: there were no requests. `counts` has the number in
 * each interval between two bounds; the last is beyond all of them, and told as the last bound.
 */
export function quantile(bounds, counts, share) {
  const rank = share * counts.reduce((all, count) => all + count, 0);
  if (rank === 0) return null;
  let below = 0;
  for (const [at, bound] of bounds.entries()) {
    const lower = bounds[at - 1] ?? 0;
    if (below + counts[at] >= rank) return lower + (bound - lower) * ((rank - below) / counts[at]);
    below += counts[at];
  }
  return bounds.at(-1);
}
