// New record: a GUID of one's own or none, an expiry, metadata. It creates and never updates.
//
// A form that is left without a GUID draws one, and keeps it: so a save that was not answered can be
// sent again, and makes no second record.

import { create, metadataSchema, Refused } from "./api.js";
import { h } from "./dom.js";
import { Editor } from "./editor.js";
import { Expiry } from "./expiry.js";
import { showFaults, summary } from "./faults.js";
import { meant, random } from "./guid.js";
import { object } from "./json.js";

export async function show({ main, query, go, retitle, signal, hold }) {
  retitle("New record");
  const fields = {
    editor: new Editor([], await metadataSchema(signal)),
    expiry: new Expiry("by default"),
    guid: new GuidField(query.get("guid") ?? ""),
    open: [],
    summary: summary(),
  };
  const release = () => hold(() => false);
  const shown = (attempt, note) => {
    release();
    go(`#/record/${attempt.guid}`, { note });
  };
  const submit = h("button", { type: "submit", class: "main" }, "Create");
  const form = h("form", {
    class: "sheet", novalidate: true, "aria-label": "New record",
    submit: (event) => {
      event.preventDefault();
      save(form, fields, submit, shown);
    },
  }, fields.summary, fields.guid.element, fields.expiry.element, fields.editor.element,
  h("div", { class: "actions" }, submit, h("a", { href: "#/records", click: release }, "Cancel")));
  main.replaceChildren(h("h1", null, "New record"), form);
  hold(() => [fields.guid, fields.expiry, fields.editor].some((field) => field.isEdited));
}

/** The GUID, which may be left out; written in another way it is put right before it is sent. */
class GuidField {
  constructor(value) {
    this.drawn = random();
    this.fault = h("p", { class: "fault", id: "new-guid-fault" });
    this.field = h("input", {
      id: "new-guid", type: "text", class: "guid", value, autocomplete: "off", spellcheck: "false",
      "aria-describedby": "new-guid-hint new-guid-fault", input: () => this.clear(), change: () => this.tidy(),
    });
    this.given = this.field.value; // without the line breaks of a link
    this.element = h("div", { class: "field" }, h("label", { for: "new-guid" }, "GUID"), this.field,
      h("p", { class: "hint", id: "new-guid-hint" }, "Left empty, a random one is made."), this.fault);
  }

  /** What is sent. */
  get guid() {
    return this.field.value.trim() || this.drawn;
  }

  get isEdited() {
    return this.field.value !== this.given;
  }

  tidy() {
    const { guid } = meant(this.field.value);
    if (guid) this.field.value = guid;
  }

  check() {
    this.tidy();
    const { wrong } = this.field.value.trim() ? meant(this.field.value) : {};
    if (wrong) this.show(wrong);
    return !wrong;
  }

  show(...detail) {
    this.fault.replaceChildren(...detail);
    this.field.setAttribute("aria-invalid", "true");
  }

  clear() {
    this.fault.replaceChildren();
    this.field.removeAttribute("aria-invalid");
  }
}

async function save(form, fields, submit, shown) {
  const { editor, expiry, guid } = fields;
  fields.summary.replaceChildren();
  const right = [guid.check(), expiry.check()].every(Boolean);
  const changes = editor.changes();
  if (!right || !changes) {
    form.querySelector("[aria-invalid]").focus();
    return;
  }
  const attempt = { guid: guid.guid, body: object([...expiry.changes(), ...changes]) };
  submit.disabled = true;
  try {
    await create(attempt.guid, attempt.body);
    shown(attempt, "Created.");
  } catch (error) {
    submit.disabled = false;
    if (error instanceof Refused && error.status === 412) meet(attempt, fields, form, shown);
    else {
      if (!(error instanceof Refused) || error.status >= 500) fields.open.push(attempt);
      showFaults(error, form, fields);
    }
  }
}

/** A record of that GUID is there. One whose GUID was drawn here is from an attempt that was not answered. */
function meet(attempt, { guid, open, summary: above }, form, shown) {
  const link = (text) => h("a", { href: `#/record/${attempt.guid}` }, text);
  const before = open.filter((one) => one.guid === attempt.guid);
  if (attempt.guid !== guid.drawn) {
    guid.show("There is a live record of this GUID already: ", link("look at it"),
      before.length ? ". It may be from your save that was not answered." : ".");
    guid.field.focus();
  } else if (before.every(({ body }) => body === attempt.body)) {
    shown(attempt, "It was created already.");
  } else {
    above.replaceChildren(h("p", null, "A save of yours that was not answered did create ", link("this record"),
      ". What you changed since then may not be in it, and was not saved now."));
    form.querySelector("button[type=submit]").focus();
  }
}
