// Records: a page of the list, filtered by user and by expiry. The address has the filters. The
// records are in the order of their GUIDs, as in the API.

import { list } from "./api.js";
import { now } from "./clock.js";
import { announceExpiry, follow, forget } from "./countdown.js";
import { announce, h } from "./dom.js";
import { instant, timeOfDay } from "./format.js";
import { grouped } from "./guid.js";
import { items, members, metadata, valueOf } from "./json.js";

const SPANS = [
  ["", "Any time"],
  ["3600", "within an hour"],
  ["86400", "within a day"],
  ["604800", "within 7 days"],
  ["2592000", "within 30 days"],
];
const SIZES = ["50", "100", "500", "1000"];
const EXCERPT = 160;

export async function show(place) {
  const { main, query, retitle, signal } = place;
  retitle("Records");
  const result = h("div", { class: "result", "aria-busy": "true" });
  main.replaceChildren(h("h1", null, "Records"), filters(place), result);
  await fill(result, query, signal);
  return () => refill(result, query, signal);
}

/** Reads the page again. If that fails, it keeps the old content and shows the error. */
async function refill(result, query, signal) {
  const said = result.querySelector("[role=alert]");
  said.textContent = "";
  try {
    await fill(result, query, signal);
  } catch (error) {
    if (!signal.aborted) said.textContent = error.message;
  }
}

async function fill(result, query, signal) {
  const { records, next } = await page(asked(query), signal);
  const held = result.contains(document.activeElement) ? document.activeElement : null;
  forget(); // the countdowns of the replaced lines
  result.replaceChildren(...(records.length ? table(records) : [empty(query)]), foot(query, next, result, signal));
  result.removeAttribute("aria-busy");
  if (held) likeIt(result, held).focus({ preventScroll: true });
  announce(records.length ? `${records.length} records.` : "No records.");
}

/** Reads a page of the list. If it is empty and not the last, reads the next one. */
async function page(wanted, signal) {
  const { text } = await list(wanted, signal);
  const found = members(text);
  const records = items(found.find(({ name }) => name === "guids").text).map((record) => members(record));
  const next = valueOf(found, "next");
  return records.length || !next ? { records, next } : page({ ...wanted, after: afterOf(next) }, signal);
}

function afterOf(next) {
  return new URL(next, location.href).searchParams.get("after");
}

/** The element that replaces a link or button: the link to the same address, or "Read again". */
function likeIt(result, old) {
  const links = [...result.querySelectorAll("a")];
  return links.find((link) => link.href === old.href) ?? result.querySelector("button");
}

/** The API's parameters, from those of the address; "within" counts from now. */
function asked(query) {
  const within = Number(query.get("within"));
  return {
    user: query.get("user"),
    expires_before: query.get("before") ?? (within ? Math.ceil(now() / 1000) + within : null),
    after: query.get("after"),
    limit: query.get("limit") ?? "100",
  };
}

function address(query, changes) {
  const wanted = { ...Object.fromEntries(query), ...changes };
  const given = Object.entries(wanted).filter(([, value]) => value);
  return `#/records${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** The instant of an address; other text is shown unchanged, and the service refuses it. */
function moment(before) {
  return /^\d{1,11}$/.test(before) ? `${instant(Number(before))} UTC` : `“${before}”`;
}

/** The spans to choose from, and another one if the address has it. */
function spans(query) {
  const [before, within] = [query.get("before"), query.get("within")];
  if (before) return [...SPANS, ["before", `before ${moment(before)}`]];
  const isOther = Number(within) && SPANS.every(([seconds]) => seconds !== within);
  return isOther ? [...SPANS, [within, `within ${within} seconds`]] : SPANS;
}

function filters({ query, go }) {
  const option = (chosen) => ([value, label]) =>
    h("option", { value, selected: value === chosen }, label);
  const before = query.get("before");
  const user = h("input", { id: "user", name: "user", type: "text", autocomplete: "off", value: query.get("user") ?? "" });
  const untouched = user.value; // the browser has removed a link's line breaks
  const within = h("select", { id: "within", name: "within" },
    spans(query).map(option(before ? "before" : query.get("within") ?? "")));
  const size = query.get("limit") || "100";
  const limit = h("select", { id: "limit", name: "limit" },
    [...new Set([...SIZES, size])].map((one) => option(size)([one, one])));
  const submit = (event) => {
    event?.preventDefault();
    const kept = within.value === "before" ? { before } : { within: within.value };
    const name = user.value === untouched ? query.get("user") : user.value;
    go(address(new URLSearchParams(), { user: name, limit: limit.value === "100" ? "" : limit.value, ...kept }));
  };
  return h("form", { class: "filters", role: "search", submit },
    h("div", { class: "field" }, h("label", { for: "user" }, "User"), user),
    h("div", { class: "field" }, h("label", { for: "within" }, "Expires"), within),
    h("div", { class: "field" }, h("label", { for: "limit" }, "Per page"), limit),
    h("button", { type: "submit" }, "Show"));
}

function table(records) {
  const head = ["GUID", "User", "Other metadata", "Expires (UTC)", "Left"];
  const classes = ["", "user", "rest", "when", "left"];
  return [h("table", { class: "records" },
    h("caption", { class: "unseen" }, "Live records in the order of their GUIDs"),
    h("thead", null, h("tr", null, head.map((label, at) => h("th", { scope: "col", class: classes[at] }, label)))),
    h("tbody", null, records.map(row)))];
}

function row(record) {
  const guid = valueOf(record, "guid");
  const expire = Number(valueOf(record, "expire"));
  const user = valueOf(record, "user");
  const left = h("time", { datetime: new Date(expire * 1000).toISOString() });
  const line = h("tr", null,
    h("th", { scope: "row" }, h("a", { href: `#/record/${guid}` }, grouped(guid))),
    h("td", { class: "user" }, typeof user === "string" ? user : ""),
    h("td", { class: "rest" }, excerpt(record)),
    h("td", { class: "when" }, instant(expire)),
    h("td", { class: "left" }, left));
  follow(left, expire, () => {
    line.classList.add("expired");
    if (line.isConnected) announceExpiry(guid);
  });
  return line;
}

function excerpt(record) {
  const rest = metadata(record).filter(({ name, text }) => name !== "user" || !text.startsWith('"'));
  const text = rest.map(({ name, text: value }) => `${name}: ${value}`).join(", ");
  return text.length > EXCERPT ? `${text.slice(0, EXCERPT).replace(/[\ud800-\udbff]$/, "")}…` : text;
}

function empty(query) {
  const narrowed = ["user", "within", "before"].some((name) => query.get(name));
  if (query.get("after")) {
    return h("p", { class: "empty" }, "There are no more records. ",
      h("a", { href: address(query, { after: "" }) }, "Go to the first page"), ".");
  }
  if (narrowed) {
    return h("p", { class: "empty" }, "No live record matches. ",
      h("a", { href: "#/records" }, "Show all records"), ".");
  }
  return h("p", { class: "empty" }, "There are no live records. ",
    h("a", { href: "#/new" }, "Create one"), ".");
}

function foot(query, next, result, signal) {
  const after = next && afterOf(next);
  const shown = result.ownerDocument.createTextNode(` Read at ${timeOfDay(Date.now())}.`);
  const again = () => refill(result, query, signal);
  return h("div", { class: "foot-line" },
    h("nav", { "aria-label": "Pages" },
      query.get("after") && h("a", { href: address(query, { after: "" }) }, "First page"),
      after && h("a", { href: address(query, { after }), rel: "next" }, "Next page")),
    h("div", null,
      h("span", { class: "quiet" }, shown, " ",
        h("button", { type: "button", class: "link", click: again }, "Read again")),
      h("p", { class: "fault", role: "alert" })));
}
