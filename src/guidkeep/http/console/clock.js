// The service's clock, estimated from its responses. Expiry depends on that clock, not on the
// browser's.
//
// A response's Date is a whole second, which the service updates once a second. So when the response
// was sent, the service's clock was between Date and a little over two seconds later. Each response
// thus bounds the difference of the two clocks. While the bounds include zero, the browser's clock is
// used unchanged. Otherwise it is corrected by the middle of the bounds. That is right to about a
// second, and further responses narrow it.

const SLACK = 2200;

let least = -Infinity;
let most = Infinity;

/** Learns from a response; times are milliseconds by the browser's clock. */
export function heard(date, sentAt, receivedAt) {
  const told = Date.parse(date ?? "");
  if (Number.isNaN(told)) return;
  const from = told - receivedAt;
  const to = told + SLACK - sentAt;
  if (from > most || to < least) [least, most] = [from, to]; // one of the clocks was set
  else [least, most] = [Math.max(least, from), Math.min(most, to)];
}

/** How far the service's clock is ahead of the browser's, in milliseconds. */
export function lead() {
  return least <= 0 && most >= 0 ? 0 : (least + most) / 2;
}

/** Unix time by the service's clock, in milliseconds. */
export function now() {
  return Date.now() + lead();
}
