// New record: an optional GUID, an expiry and metadata. It creates and never updates.
//
// If the user gives no GUID, the form makes a random one and keeps it. So a save without a response
// can be sent again without creating a second record.

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
    expiry: new Expiry("default"),
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

/** The optional GUID. Other spellings are normalised before it is sent. */
class GuidField {
  constructor(value) {
    this.drawn = random();
    this.fault = h("p", { class: "fault", id: "new-guid-fault" });
    this.field = h("input", {
      id: "new-guid", type: "text", class: "guid", value, autocomplete: "off", spellcheck: "false",
      "aria-describedby": "new-guid-hint new-guid-fault", input: () => this.clear(), change: () => this.tidy(),
    });
    this.given = this.field.value; // the browser has removed a link's line breaks
    this.element = h("div", { class: "field" }, h("label", { for: "new-guid" }, "GUID"), this.field,
      h("p", { class: "hint", id: "new-guid-hint" }, "Leave empty for a random GUID."), this.fault);
  }

  /** The GUID to send. */
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

/** The GUID exists already. If the form made it, the record is from an attempt without a response. */
function meet(attempt, { guid, open, summary: above }, form, shown) {
  const link = (text) => h("a", { href: `#/record/${attempt.guid}` }, text);
  const before = open.filter((one) => one.guid === attempt.guid);
  if (attempt.guid !== guid.drawn) {
    guid.show("A live record of this GUID exists already: ", link("view it"),
      before.length ? ". It may be from your earlier save, which got no response." : ".");
    guid.field.focus();
  } else if (before.every(({ body }) => body === attempt.body)) {
    shown(attempt, "Your earlier save created it already.");
  } else {
    above.replaceChildren(h("p", null, "An earlier save, which got no response, created ", link("this record"),
      ". Your later changes may not be in it and were not saved."));
    form.querySelector("button[type=submit]").focus();
  }
}
