// A conflict: the record as opened, as stored now, and as edited, side by side. Where both sides
// changed a member, the user chooses. All other changes are kept.

import { freshId, h } from "./dom.js";
import { instant } from "./format.js";
import { grouped } from "./guid.js";
import { shown } from "./json.js";

/** Shows the conflict; `save` is called with the changes to make to the stored record. */
export function showConflict(main, { guid, differences, save, back, discard }) {
  const lines = differences.map(line);
  const submit = h("button", { type: "submit", class: "main" }, "Save as chosen");
  const heading = h("h1", { tabindex: "-1" }, "Somebody else changed this record");
  const form = h("form", {
    class: "sheet conflict",
    submit: async (event) => {
      event.preventDefault();
      submit.disabled = true;
      await save(lines.flatMap(({ chosen }) => chosen()));
      submit.disabled = false;
    },
  },
  heading, h("p", null, grouped(guid)),
  h("p", null, lead(differences)),
  h("table", { class: "versions" },
    h("caption", { class: "unseen" }, "The versions of the record"),
    h("thead", null, h("tr", null, ["Member", "When you opened it", "Stored now", "Yours"].map((label) =>
      h("th", { scope: "col" }, label)))),
    h("tbody", null, lines.map(({ element }) => element))),
  h("div", { class: "actions" }, submit,
    h("button", { type: "button", click: back }, "Back to the form"),
    h("a", { href: `#/record/${guid}`, click: discard }, "Discard yours")));
  main.replaceChildren(form);
  heading.focus();
}

function lead(differences) {
  const clashes = differences.filter(({ clash }) => clash).length;
  if (clashes === 0) return "Your changes are not saved yet. They changed other members than you did, so both changes can be kept.";
  const both = clashes === 1 ? "one member" : `${clashes} members`;
  return `Your changes are not saved yet. You both changed ${both}: choose ${clashes === 1 ? "a value" : "the values"}.`;
}

/** A row of the table, and the changes that its choice adds. */
function line({ name, key, base, mine, theirs, clash }) {
  const group = freshId("version");
  const asWritten = lookAlike([base, mine, theirs]);
  const radio = (which) => clash
    && h("input", { type: "radio", name: group, value: which, required: true, "aria-label": `${name}: ${which === "mine" ? "yours" : "as stored now"}` });
  const cell = (text, which) => h("td", { class: text !== base ? "changed" : "" },
    clash ? h("label", { class: "version" }, radio(which), value(name, text, asWritten)) : value(name, text, asWritten));
  const element = h("tr", { class: clash ? "clash" : "" },
    h("th", { scope: "row" }, name),
    h("td", null, value(name, base, asWritten)), cell(theirs, "theirs"), cell(mine, "mine"));
  const takesMine = () => (clash ? element.querySelector("input:checked").value === "mine" : mine !== base);
  return { element, chosen: () => (takesMine() && mine !== theirs ? [{ name, key, text: mine }] : []) };
}

/** Whether different texts look the same when shown, such as 1 and "1". */
function lookAlike(texts) {
  const different = [...new Set(texts)].filter((text) => text !== null);
  return new Set(different.map((text) => shown(text).trim())).size < different.length;
}

function value(name, text, asWritten) {
  if (text === null) return h("span", { class: "quiet" }, "not there");
  if (name === "expire") return `${instant(Number(JSON.parse(text)))} UTC`;
  return h("span", { class: text.startsWith('"') ? "plain" : "json" }, asWritten ? text : shown(text));
}
