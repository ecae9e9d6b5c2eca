// Chooses when a record expires: a span from now, or an instant.

import { now } from "./clock.js";
import { freshId, h } from "./dom.js";
import { instant, zone } from "./format.js";

const SPANS = [
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
  ["31536000", "1 year"],
];

/** The form's expiry; `unset` is the label of the choice that sends no expire. */
export class Expiry {
  constructor(unset) {
    this.sent = null;
    this.choices = [["", unset], ...SPANS, ["at", "at a date and time"]];
    this.name = freshId("expiry");
    this.fault = h("p", { class: "fault", id: freshId("fault") });
    this.preview = h("p", { class: "hint", "aria-live": "polite" });
    this.at = h("input", {
      type: "datetime-local", step: "1", id: freshId("at"), "aria-describedby": this.fault.id,
      input: () => this.update(),
    });
    this.atLine = h("div", { class: "field at", hidden: true },
      h("label", { for: this.at.id }, `Your time (${zone(now() / 1000)})`), this.at);
    this.element = h("fieldset", { class: "expiry", change: () => this.update() },
      h("legend", null, "Expires"),
      h("div", { class: "choices" }, this.choices.map((choice, at) => this.radio(choice, at === 0))),
      this.atLine, this.preview, this.fault);
  }

  radio([value, label], checked) {
    return h("label", { class: "choice" },
      h("input", { type: "radio", name: this.name, value, checked, "aria-describedby": this.fault.id }),
      h("span", null, label));
  }

  get chosen() {
    return this.element.querySelector("input:checked").value;
  }

  get isEdited() {
    return this.chosen !== "";
  }

  /** Unix time in seconds, by the service's clock; null: send none; NaN: no time was given. */
  value() {
    if (this.chosen === "") return null;
    if (this.chosen === "at") return Math.floor(new Date(this.at.value).getTime() / 1000);
    return this.sent ?? Math.ceil(now() / 1000) + Number(this.chosen);
  }

  /**
   * The changes, as in `change.js`. A span counts from the time when it is first sent, until the
   * user chooses another. So a second attempt sends the value that the service may have stored.
   */
  changes() {
    const value = this.value();
    if (value === null) return [];
    this.sent = value;
    this.preview.textContent = shown(value);
    return [{ name: "expire", key: '"expire"', text: `"${value}"` }];
  }

  update() {
    this.sent = null;
    this.atLine.hidden = this.chosen !== "at";
    this.clear();
    this.preview.textContent = shown(this.value());
  }

  /** Whether the choice is complete; if not, shows a message. */
  check() {
    if (!Number.isNaN(this.value())) return true;
    this.show("Give a date and a time.");
    return false;
  }

  show(detail) {
    this.sent = null; // refused, so not stored
    this.fault.textContent = detail;
    const field = this.chosen === "at" ? this.at : this.element.querySelector("input:checked");
    field.setAttribute("aria-invalid", "true");
  }

  clear() {
    this.fault.textContent = "";
    for (const field of this.element.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }
}

function shown(value) {
  const isNone = value === null || Number.isNaN(value) || value > 253_402_300_799;
  return isNone ? "" : `${instant(value)} UTC`;
}
