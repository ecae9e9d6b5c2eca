// What an edit is, as data: which members changed, how they are sent, and what two edits of one
// record have in common. No page, no requests.
//
// A change is {name, key, text}: the member's name, the name as JSON, the new value's JSON text, or
// null where the member is to go.

import { object } from "./json.js";

/**
 * How to send changes to a record with those members: {method, body}.
 *
 * A PATCH names the changed members alone. But a merge patch (RFC 7396) takes null for "remove", and
 * an object for another patch, of which not all is stored as it was written. With either the whole
 * record goes as a PUT, in which all other members are the text that was read. Both have If-Match.
 */
export function request(members, changes) {
  const fits = changes.every(({ text }) => text === null || !(text === "null" || text.startsWith("{")));
  if (fits) return { method: "PATCH", body: object(changes.map((one) => ({ ...one, text: one.text ?? "null" }))) };
  return { method: "PUT", body: object(apply(members, changes).filter(({ name }) => name !== "guid")) };
}

/** The members as they would be after the changes. */
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
 * What two edits of one record did: for each member that either changed {name, key, base, mine,
 * theirs, clash}, texts or null where there is none. A clash: both changed it, and not to the same.
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
