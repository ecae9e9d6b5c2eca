// The service's clock, as far as its answers tell it: expiry goes by that clock, not by the browser's.
//
// An answer's Date is a whole second, and the service writes it anew once a second. So when it was
// sent, the service's clock stood between Date and a little over two seconds later. Each answer thus
// bounds how far the two clocks differ. As long as the bounds allow that they agree, the browser's is
// left as it is; where they don't, it is corrected to the middle of them, which is right to about a
// second, and more answers narrow it.

const SLACK = 2200;

let least = -Infinity;
let most = Infinity;

/** Learns from an answer; times in milliseconds by the browser's clock. */
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
