// Find: takes a pasted GUID in any spelling.

import { stats } from "./api.js";
import { h } from "./dom.js";
import { count, timeOfDay } from "./format.js";
import { meant } from "./guid.js";

export async function show({ main, go, retitle, signal }) {
  retitle("Find a GUID");
  const answer = h("div", { id: "meant", class: "meant", role: "status" });
  const field = h("input", {
    id: "find", name: "guid", type: "text", class: "guid", autocomplete: "off", spellcheck: "false",
    autocapitalize: "characters", "aria-describedby": "meant", input: () => offer(field, answer),
  });
  const form = h("form", { class: "find", role: "search", submit: (event) => open(event, field, answer, go) },
    h("label", { for: "find" }, "GUID"),
    h("div", { class: "line" }, field, h("button", { type: "submit", class: "main" }, "Find")),
    answer);
  const figures = h("div");
  main.replaceChildren(h("h1", null, "Find a GUID"), form, figures);
  field.focus({ preventScroll: true });
  populate(figures, signal);
  return () => populate(figures, signal);
}

function offer(field, answer) {
  field.removeAttribute("aria-invalid");
  const { guid, why, wrong } = field.value.trim() ? meant(field.value) : {};
  if (wrong && field.value.trim().length >= 32) answer.replaceChildren(wrong);
  else if (why) answer.replaceChildren(`${why}: `, h("a", { href: `#/record/${guid}`, class: "guid" }, guid));
  else answer.replaceChildren();
}

function open(event, field, answer, go) {
  event.preventDefault();
  const { guid, wrong } = meant(field.value);
  if (guid) {
    go(`#/record/${guid}`);
    return;
  }
  field.setAttribute("aria-invalid", "true");
  answer.replaceChildren(field.value.trim() ? wrong : "Paste a GUID: any case, with or without dashes.");
  field.focus();
}

/** Shows the number of live records. Without a response it shows nothing. */
async function populate(figures, signal) {
  const { as_of: asOf, live, forecast } = await stats(signal).catch(() => ({}));
  if (!forecast) return;
  const within = (days) => forecast.slice(0, days).reduce((sum, { expire }) => sum + expire, 0);
  const told = [["Live records", live], ["Expire today (UTC)", within(1)], ["Expire within 7 days", within(7)]];
  figures.replaceChildren(
    h("dl", { class: "figures" }, told.map(([label, number]) =>
      h("div", null, h("dt", null, label), h("dd", null, count(number))))),
    h("p", { class: "quiet" }, `Counted at ${timeOfDay(Number(asOf) * 1000)}.`));
}
