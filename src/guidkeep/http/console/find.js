// Find: takes a pasted GUID in any spelling.

import { stats } from "./api.js";
import { h } from "./dom.js";
import { count, timeOfDay } from "./format.js";
import { meant } from "./guid.js";

export async function show({ main, go, retitle, signal }) {
  retitle("Find a GUID");
  const hint = h("div", { id: "meant", class: "meant", role: "status" });
  const field = h("input", {
    id: "find", name: "guid", type: "text", class: "guid", autocomplete: "off", spellcheck: "false",
    autocapitalize: "characters", "aria-describedby": "meant", input: () => offer(field, hint),
  });
  const form = h("form", { class: "find", role: "search", submit: (event) => open(event, field, hint, go) },
    h("label", { for: "find" }, "GUID"),
    h("div", { class: "line" }, field, h("button", { type: "submit", class: "main" }, "Find")),
    hint);
  const counts = h("div");
  main.replaceChildren(h("h1", null, "Find a GUID"), form, counts);
  field.focus({ preventScroll: true });
  populate(counts, signal);
  return () => populate(counts, signal);
}

function offer(field, hint) {
  field.removeAttribute("aria-invalid");
  const { guid, why, wrong } = field.value.trim() ? meant(field.value) : {};
  if (wrong && field.value.trim().length >= 32) hint.replaceChildren(wrong);
  else if (why) hint.replaceChildren(`${why}: `, h("a", { href: `#/record/${guid}`, class: "guid" }, guid));
  else hint.replaceChildren();
}

function open(event, field, hint, go) {
  event.preventDefault();
  const { guid, wrong } = meant(field.value);
  if (guid) {
    go(`#/record/${guid}`);
    return;
  }
  field.setAttribute("aria-invalid", "true");
  hint.replaceChildren(field.value.trim() ? wrong : "Paste a GUID: any case, with or without dashes.");
  field.focus();
}

/** Shows the number of live records. Without a response it shows nothing. */
async function populate(counts, signal) {
  const { as_of: asOf, live, forecast } = await stats(signal).catch(() => ({}));
  if (!forecast) return;
  const within = (days) => forecast.slice(0, days).reduce((sum, { expire }) => sum + expire, 0);
  const told = [["Live records", live], ["Expire today (UTC)", within(1)], ["Expire within 7 days", within(7)]];
  counts.replaceChildren(
    h("dl", { class: "counts" }, told.map(([label, number]) =>
      h("div", null, h("dt", null, label), h("dd", null, count(number))))),
    h("p", { class: "quiet" }, `Counted at ${timeOfDay(Number(asOf) * 1000)}.`));
}
