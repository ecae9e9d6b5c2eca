// Reads GUIDs as people paste them, and formats them.

import { h } from "./dom.js";

const GROUPS = [8, 12, 16, 20, 32];

/** Reads a pasted text; returns `{guid}`, or `{guid, why}` for another spelling, or `{wrong}`. */
export function meant(text) {
  const given = text.trim();
  if (/^[0-9A-F]{32}$/.test(given)) return { guid: given };
  const written = given.match(/[0-9a-f]{8}(-?)[0-9a-f]{4}(-?[0-9a-f]{4}){3}[0-9a-f]{8}/i);
  const loose = given.replace(/^urn:uuid:/i, "").replace(/[\s{}()"'-]/g, "");
  if (/^[0-9a-f]{32}$/i.test(loose)) return { guid: loose.toUpperCase(), why: difference(given) };
  if (written && !/[0-9a-f]/i.test(around(given, written))) {
    return { guid: written[0].replaceAll("-", "").toUpperCase(), why: "The text contains this GUID" };
  }
  return { wrong: fault(loose) };
}

/** A random GUID (RFC 9562, version 4). */
export function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs HTTPS
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();
}

function around(given, written) {
  return (given[written.index - 1] ?? "") + (given[written.index + written[0].length] ?? "");
}

function difference(given) {
  const why = [];
  if (/[a-f]/.test(given.replace(/^urn:uuid:/i, ""))) why.push("in upper case");
  if (/[^0-9a-f]/i.test(given)) why.push("without anything between the digits");
  return `A GUID is written ${why.join(", ")}`;
}

function fault(loose) {
  const odd = loose.match(/[^0-9a-f]/i);
  if (odd) return `A GUID has only the digits 0–9 and A–F; this has “${odd[0]}”.`;
  const count = loose.length === 1 ? "1 digit" : `${loose.length} digits`;
  return `A GUID has 32 digits; this has ${count}.`;
}

/** A GUID in groups that are easy to read. A copy of it has no spaces. */
export function grouped(guid) {
  let from = 0;
  const spans = GROUPS.map((to) => {
    const span = h("span", null, guid.slice(from, to));
    from = to;
    return [span, h("wbr")];
  });
  return h("span", { class: "guid" }, spans);
}
