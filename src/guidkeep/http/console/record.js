// One record: its members as stored, and the time that it has left.

import { read, readAgain, Refused } from "./api.js";
import { announceExpiry, follow, forget } from "./countdown.js";
import { announce, h } from "./dom.js";
import { instant, local, timeOfDay, zone } from "./format.js";
import { grouped, meant } from "./guid.js";
import { members, metadata, shown, valueOf } from "./json.js";
import { confirmRemoval } from "./remove.js";
import { onReturn } from "./staleness.js";

export async function show(place) {
  const [guid] = place.words;
  place.retitle(guid);
  const { why, wrong } = meant(guid);
  if (why || wrong) {
    otherwise(place, guid);
    return null;
  }
  let response;
  try {
    response = await read(guid, { signal: place.signal });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    absent(place, guid, "There is no record of this GUID: it never existed, was deleted, or has expired.");
    return null;
  }
  sheet(place, guid, response, place.note);
  const again = async () => {
    const later = await readAgain(guid, response.etag).catch((error) => error);
    if (place.signal.aborted) return;
    if (later instanceof Refused && later.status === 404) absent(place, guid, "The record no longer exists: it was deleted, or has expired.");
    else if (later.status === 200) {
      response = later;
      sheet(place, guid, response, "The record has changed since you opened it. This is the new version.");
    }
  };
  onReturn(again, place.signal);
  return again;
}

function absent({ main }, guid, why) {
  main.replaceChildren(
    h("h1", null, "No live record"), h("p", null, grouped(guid)), h("p", null, why),
    h("p", { class: "actions" }, h("a", { href: `#/new?guid=${guid}`, class: "button" }, "Create it"),
      h("a", { href: "#/" }, "Find another")));
}

/** Shows a text in a link that is not a GUID, or not spelled as one. */
function otherwise({ main }, text) {
  const { guid, why, wrong } = meant(text);
  main.replaceChildren(
    h("h1", null, "Not a GUID"), h("p", null, wrong ?? `${why}.`),
    h("p", { class: "actions" }, guid && h("a", { href: `#/record/${guid}`, class: "button" }, "View ", guid),
      h("a", { href: "#/" }, "Find another")));
}

function sheet(place, guid, { text, etag }, note) {
  const all = members(text);
  const expire = Number(valueOf(all, "expire"));
  const left = h("span", { class: "countdown", role: "timer" });
  const actions = h("div", { class: "actions" },
    h("a", { href: `#/record/${guid}/edit`, class: "button" }, "Edit"),
    h("button", { type: "button", click: (event) => confirmRemoval(place, guid, etag, event.target) }, "Delete"),
    h("button", { type: "button", click: (event) => copy(guid, event.target) }, "Copy the GUID"));
  const article = h("article", { class: "record" },
    note && h("p", { class: "note" }, note),
    h("h1", null, grouped(guid)),
    h("div", { class: "life" }, left, h("div", { class: "until" },
      h("span", null, "until ", h("time", { datetime: new Date(expire * 1000).toISOString() }, instant(expire)), " UTC"),
      h("span", { class: "quiet" }, `${local(expire)} ${zone(expire)}`),
      h("span", { class: "quiet" }, `Unix time ${expire}`))),
    table(all), actions,
    h("p", { class: "quiet" }, `Version ${etag}, read at ${timeOfDay(Date.now())}.`));
  place.main.replaceChildren(article);
  if (note) announce(note);
  forget(); // the former countdown
  follow(left, expire, () => over(article, actions, guid), true);
}

function over(article, actions, guid) {
  const anew = h("a", { href: `#/new?guid=${guid}`, class: "button" }, "Create it again");
  const hadFocus = actions.contains(document.activeElement);
  article.classList.add("expired");
  actions.replaceChildren(anew);
  if (hadFocus) anew.focus();
  if (article.isConnected) announceExpiry(guid);
}

function table(all) {
  const rest = metadata(all);
  if (rest.length === 0) return h("p", { class: "empty" }, "No metadata.");
  return h("table", { class: "metadata" },
    h("caption", { class: "unseen" }, "Metadata"),
    h("thead", { class: "unseen" }, h("tr", null, ["Member", "Value", "Kind"].map((label) => h("th", { scope: "col" }, label)))),
    h("tbody", null, rest.map(({ name, text }) => h("tr", null,
      h("th", { scope: "row" }, name),
      h("td", { class: text.startsWith('"') ? "plain" : "json" }, shown(text)),
      h("td", { class: "kind quiet" }, kind(text))))));
}

function kind(text) {
  const kinds = { '"': "text", "{": "object", "[": "list", t: "true or false", f: "true or false", n: "null" };
  return kinds[text[0]] ?? "number";
}

async function copy(guid, button) {
  try {
    await navigator.clipboard.writeText(guid);
    button.textContent = "Copied";
    announce("Copied.");
  } catch {
    button.textContent = "The browser refused to copy";
  }
}
