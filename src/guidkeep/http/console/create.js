// New record: a GUID of one's own or none, an expiry, metadata. It creates and never updates.

import { create, metadataSchema, Refused } from "./api.js";
import { announce, h } from "./dom.js";
import { Editor } from "./editor.js";
import { Expiry } from "./expiry.js";
import { showFaults, summary } from "./faults.js";
import { meant } from "./guid.js";
import { object, members, valueOf } from "./json.js";

export async function show({ main, query, go, retitle }) {
  retitle("New record");
  const fields = {
    editor: new Editor([], await metadataSchema()),
    expiry: new Expiry("by default"),
    guid: new GuidField(query.get("guid") ?? ""),
    summary: summary(),
  };
  const submit = h("button", { type: "submit", class: "main" }, "Create");
  const form = h("form", {
    class: "sheet", novalidate: true, "aria-label": "New record",
    submit: (event) => {
      event.preventDefault();
      save(form, fields, submit, go);
    },
  }, fields.summary, fields.guid.element, fields.expiry.element, fields.editor.element,
  h("div", { class: "actions" }, submit, h("a", { href: "#/records" }, "Cancel")));
  main.replaceChildren(h("h1", null, "New record"), form);
}

/** The GUID, which may be left out; written in another way it is put right before it is sent. */
class GuidField {
  constructor(value) {
    this.fault = h("p", { class: "fault", id: "new-guid-fault" });
    this.field = h("input", {
      id: "new-guid", type: "text", class: "guid", value, autocomplete: "off", spellcheck: "false",
      "aria-describedby": "new-guid-hint new-guid-fault", input: () => this.clear(), change: () => this.tidy(),
    });
    this.element = h("div", { class: "field" }, h("label", { for: "new-guid" }, "GUID"), this.field,
      h("p", { class: "hint", id: "new-guid-hint" }, "Left empty, the service makes a random one."), this.fault);
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

async function save(form, fields, submit, go) {
  const { editor, expiry, guid } = fields;
  fields.summary.replaceChildren();
  const right = [guid.check(), expiry.check()].every(Boolean);
  const changes = editor.changes();
  if (!right || !changes) {
    form.querySelector("[aria-invalid]").focus();
    return;
  }
  const expire = expiry.value();
  const said = expire === null ? [] : [{ key: '"expire"', text: `"${expire}"` }];
  submit.disabled = true;
  try {
    const { text } = await create(guid.field.value.trim(), object([...said, ...changes]));
    announce("Created.");
    go(`#/record/${valueOf(members(text), "guid")}`);
  } catch (error) {
    submit.disabled = false;
    if (error instanceof Refused && error.status === 412) {
      guid.show("There is a live record of this GUID already: ",
        h("a", { href: `#/record/${guid.field.value}` }, "look at it"), ".");
      guid.field.focus();
    } else showFaults(error, form, fields);
  }
}
