// Edits as data: the changed members, the request that sends them, and the comparison of two edits of
// one record. It touches no page and sends no requests.
//
// A change is {name, key, text}: the member's name, the name as JSON, and the new value's JSON text,
// or null to remove the member.

import { object } from "./json.js";

/**
 * Returns the request that sends the changes to a record with those members: {method, body}.
 *
 * A PATCH has only the changed members. But in a merge patch (RFC 7396) null means "remove", and an
 * object is another patch, whose text is not stored as written. If a new value is one of these, the
 * whole record is sent as a PUT, with the text of all other members as it was read. Both methods are
 * sent with If-Match.
 */
export function request(members, changes) {
  const fits = changes.every(({ text }) => text === null || !(text === "null" || text.startsWith("{")));
  if (fits) return { method: "PATCH", body: object(changes.map((one) => ({ ...one, text: one.text ?? "null" }))) };
  return { method: "PUT", body: object(apply(members, changes).filter(({ name }) => name !== "guid")) };
}

/** Returns the members after the changes. */
export function apply(members, changes) {
  const left = new Map(changes.map((change) => [change.name, change]));
  const kept = members.map((member) => {
    const change = left.get(member.name);
    left.delete(member.name);
    return change ? { ...member, text: change.text } : member;
  });
  return [...kept, ...left.values()].filter(({ text }) => text !== null);
}

/**
 * Compares two edits of one record. Returns for each member that either edit changed {name, key, base,
 * mine, theirs, clash}; `base`, `mine` and `theirs` are texts, or null if the member is absent.
 * `clash`: both edits changed the member, to different values.
 */
export function compare(base, changes, stored) {
  const textIn = (members, name) => members.find((one) => one.name === name)?.text ?? null;
  const keys = new Map([...base, ...stored, ...changes].map(({ name, key }) => [name, key]));
  keys.delete("guid");
  return [...keys].flatMap(([name, key]) => {
    const [before, theirs] = [textIn(base, name), textIn(stored, name)];
    const change = changes.find((one) => one.name === name);
    const mine = change ? change.text : before;
    if (mine === before && theirs === before) return [];
    const clash = change !== undefined && theirs !== before && mine !== theirs;
    return [{ name, key, base: before, mine, theirs, clash }];
  });
}
