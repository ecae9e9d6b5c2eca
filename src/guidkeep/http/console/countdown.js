// Countdowns. One timer serves all of them. It fires on the service's full seconds and updates only
// the elements whose text changes. So a page of a thousand long-lived records costs almost nothing.

import { lead, now } from "./clock.js";
import { announce } from "./dom.js";
import { left, stays } from "./format.js";

const followed = new Set();
let timer = null;
let shownBy = lead();

/** Seconds until `expire` by the service's clock, rounded up; 0 or less: expired. */
export function remaining(expire) {
  return Math.ceil((expire * 1000 - now()) / 1000);
}

/**
 * Shows in the element the time left until `expire`, Unix time in seconds, and keeps it current.
 * Calls `over` at the second at which the record expires, or at once if it has expired. `exact` shows
 * seconds even if days are left.
 */
export function follow(element, expire, over, exact = false) {
  const one = { element, expire, over, exact, changesAt: Infinity };
  if (show(one)) followed.add(one);
  schedule();
}

/** Stops all countdowns, when the page changes. */
export function forget() {
  followed.clear();
}

/** Announces to screen readers that a record has expired. */
export function announceExpiry(guid) {
  announce(`${guid} has expired.`);
}

function show(one) {
  const seconds = remaining(one.expire);
  if (seconds <= 0) {
    one.element.textContent = "expired";
    one.over();
    return false;
  }
  one.element.textContent = left(seconds, one.exact);
  one.changesAt = (one.expire - seconds + (one.exact ? 1 : stays(seconds))) * 1000;
  return true;
}

function tick() {
  timer = null;
  const moment = now();
  const wasCorrected = Math.abs(lead() - shownBy) > 500;
  if (wasCorrected) shownBy = lead();
  for (const one of followed) {
    if ((moment >= one.changesAt || wasCorrected) && !show(one)) followed.delete(one);
  }
  schedule();
}

function schedule() {
  if (timer === null && followed.size > 0) timer = setTimeout(tick, 1000 - (now() % 1000));
}
