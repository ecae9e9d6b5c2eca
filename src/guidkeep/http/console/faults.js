// Shows the service's faults where they belong: at a member, at the expiry, at the GUID, or else above
// the form.

import { h } from "./dom.js";

/** A line above a form for messages about the form as a whole. */
export function summary() {
  return h("div", { class: "summary", role: "alert" });
}

/** Shows an error's faults; `fields` has `editor`, `expiry`, `guid` (with `show`), and `summary`. */
export function showFaults(error, form, { editor, expiry, guid, summary: above }) {
  const unplaced = [];
  for (const { pointer, parameter, detail } of error.problem?.errors ?? []) {
    const [name, ...rest] = (pointer ?? "").split("/").slice(1).map(unescaped);
    if (name === "guid" || parameter === "guid") guid ? guid.show(detail) : unplaced.push(detail);
    else if (name === "expire") expiry.show(detail);
    else if (name !== undefined) editor.show(name, rest.join("/"), detail);
    else unplaced.push(detail);
  }
  const placed = form.querySelectorAll("[aria-invalid]").length;
  const say = placed ? unplaced : [error.message, ...unplaced.filter((one) => one !== error.message)];
  if (placed) say.unshift(placed === 1 ? "Correct one field." : `Correct ${placed} fields.`);
  above.replaceChildren(h("p", null, say.join(" ")));
  const submit = form.querySelector("button[type=submit]");
  submit.disabled = false; // a disabled button can't take the focus
  (form.querySelector("[aria-invalid]") ?? submit).focus();
}

function unescaped(step) {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}
