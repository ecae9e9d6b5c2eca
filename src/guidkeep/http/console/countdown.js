// Countdowns: one timer for all, which wakes on the service's full seconds and touches only those
// whose text changes then. A page of a thousand records that live for days costs next to nothing.

import { lead, now } from "./clock.js";
import { announce } from "./dom.js";
import { left, stays } from "./format.js";

const followed = new Set();
let timer = null;
let shownBy = lead();

/** Seconds until then by the service's clock, begun ones counted; 0 or less: it is over. */
export function remaining(expire) {
  return Math.ceil((expire * 1000 - now()) / 1000);
}

/**
 * Keeps the element's text the time that is left until `expire`, Unix time in seconds.
 * `over` is called once it has expired, at that second; at once if it has already. `exact`: to the second,
 * however long it is.
 */
export function follow(element, expire, over, exact = false) {
  const one = { element, expire, over, exact, changesAt: Infinity };
  if (show(one)) followed.add(one);
  schedule();
}

/** Forgets all, as the page changes. */
export function forget() {
  followed.clear();
}

/** Tells a screen reader that a record is over. */
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
