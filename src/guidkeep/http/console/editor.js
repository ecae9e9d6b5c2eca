// The editor of metadata: a line for each member, with its errors below. A value is plain text or
// JSON. A line that the user did not edit keeps the text that was read.

import { freshId, h } from "./dom.js";
import { isMetadata } from "./json.js";

/** How to edit a value's JSON text: as plain text if that gives back the same JSON, else as JSON. */
function shownAs(text) {
  if (text.startsWith('"')) {
    const plain = JSON.parse(text);
    if (JSON.stringify(plain) === text && !/[\u0000-\u0008\u000b-\u001f]/.test(plain)) {
      return { kind: "text", value: plain };
    }
  }
  return { kind: "json", value: text };
}

/** A line: one member. */
class Line {
  constructor({ name, key, text }, { isNew, hint, forget }) {
    this.before = isNew ? null : { name, key, text };
    this.givenName = name;
    this.hint = hint ?? "";
    this.isGone = false;
    this.forget = forget;
    this.initial = shownAs(text);
    this.id = freshId("member");
    this.name = this.nameField(name, isNew && !hint);
    this.kind = h("select", { "aria-label": "Kind of value", class: "kind" },
      [["text", "text"], ["json", "JSON"]].map(([value, label]) =>
        h("option", { value, selected: value === this.initial.kind }, label)));
    this.value = h("textarea", {
      id: this.id, rows: "1", spellcheck: "false", "aria-describedby": `${this.id}-hint ${this.id}-fault`,
      input: () => this.clear(),
    });
    this.value.value = this.initial.value;
    this.initial.value = this.value.value; // a textarea makes every line break a LF
    this.label = h("label", { for: this.id, class: "unseen" }, `Value of ${this.called}`);
    this.fault = h("p", { class: "fault", id: `${this.id}-fault` });
    this.removal = h("button", { type: "button", class: "link", click: () => this.toggle() }, "Remove");
    this.element = h("div", { class: "member" },
      h("div", { class: "name" }, this.name), h("div", { class: "value" }, this.label, this.value),
      this.kind, this.removal,
      h("p", { class: "hint", id: `${this.id}-hint` }, hint), this.fault);
    this.nameRemoval();
  }

  nameField(name, isOpen) {
    if (!isOpen) return h("span", null, name);
    return h("input", {
      type: "text", value: name, "aria-label": "Name of the member", autocomplete: "off", spellcheck: "false",
      autocapitalize: "off", "aria-describedby": `${this.id}-fault`,
      input: () => {
        this.clear();
        this.label.textContent = `Value of ${this.called}`;
        this.nameRemoval();
      },
    });
  }

  get memberName() {
    return this.isNamedHere ? this.name.value : this.name.textContent;
  }

  /** Whether the user types its name; members that were read or are required have a fixed one. */
  get isNamedHere() {
    return this.name instanceof HTMLInputElement;
  }

  /** The member's name in labels and messages. */
  get called() {
    if (this.memberName.trim()) return this.memberName;
    return this.isNamedHere ? "the new member" : "the member with a blank name";
  }

  /** Whether it differs from the form as opened. */
  get isEdited() {
    return this.isGone || this.memberName !== this.givenName
      || this.kind.value !== this.initial.kind || this.value.value !== this.initial.value;
  }

  /** Whether it is sent. */
  get isChange() {
    return this.before === null || this.isEdited;
  }

  nameRemoval() {
    const verb = this.isGone ? "Restore" : "Remove";
    this.removal.textContent = verb;
    this.removal.setAttribute("aria-label", `${verb} ${this.called}`);
  }

  toggle() {
    if (this.before === null) {
      this.forget(this);
      return;
    }
    this.isGone = !this.isGone;
    this.value.readOnly = this.kind.disabled = this.isGone; // not disabled: it can still take focus
    this.element.classList.toggle("gone", this.isGone);
    this.clear();
    this.nameRemoval();
  }

  /** The value's JSON text; if it is not edited, the text that was read. */
  text() {
    if (!this.isChange) return this.before.text;
    return this.kind.value === "text" ? JSON.stringify(this.value.value) : this.value.value.trim();
  }

  /** A sentence that says what is wrong with the line, or null. */
  wrong(names) {
    if (this.isGone) return null;
    const name = this.memberName;
    if (this.isNamedHere && !name.trim()) return "Give the member a name.";
    // Sent as a member, ttl would set the expiry. An old member of that name can stay or be removed.
    if (!isMetadata(name) || (name === "ttl" && this.isChange)) return `${name} is not metadata: use the field above.`;
    if (names.filter((one) => one === name).length > 1) return `There are two members named ${name}: rename one.`;
    try {
      JSON.parse(this.text());
    } catch (error) {
      return `This is not JSON (${error.message}). For plain text choose “text”.`;
    }
    return null;
  }

  show(detail) {
    this.fault.textContent = `${this.fault.textContent} ${detail}`.trim();
    const nameless = this.isNamedHere && !this.memberName.trim();
    (nameless ? this.name : this.value).setAttribute("aria-invalid", "true");
  }

  clear() {
    this.fault.textContent = "";
    this.value.removeAttribute("aria-invalid");
    this.name.removeAttribute("aria-invalid");
  }
}

/** The form's metadata; `members` are the record's, `schema` names the required ones. */
export class Editor {
  constructor(members, schema) {
    this.schema = schema && typeof schema === "object" ? schema : {};
    this.lines = [];
    this.list = h("div", { class: "members" });
    this.element = h("fieldset", { class: "metadata" }, h("legend", null, "Metadata"), this.list,
      h("button", { type: "button", click: () => this.add().name.focus() }, "Add a member"));
    for (const member of members) this.put(member, { isNew: false });
    for (const name of this.schema.required ?? []) {
      if (!members.some((one) => one.name === name)) this.add(name);
    }
  }

  add(name = "") {
    return this.put({ name, key: JSON.stringify(name), text: '""' }, { isNew: true });
  }

  put(member, { isNew }) {
    const hint = this.schema.properties?.[member.name]?.description
      ?? (this.schema.required?.includes(member.name) ? "Required by the schema." : null);
    const line = new Line(member, { isNew, hint, forget: (one) => this.drop(one) });
    this.lines.push(line);
    this.list.append(line.element);
    return line;
  }

  drop(line) {
    this.lines = this.lines.filter((one) => one !== line);
    line.element.remove();
    this.element.querySelector(":scope > button").focus();
  }

  /** The changes, as in `change.js`; null: something is wrong, and its message is shown. */
  changes() {
    this.clear();
    const present = this.lines.filter((line) => !line.isGone);
    const names = present.map((line) => line.memberName);
    let right = true;
    for (const line of present) {
      const wrong = line.wrong(names);
      if (wrong) {
        line.show(wrong);
        right = false;
      }
    }
    return right ? this.lines.filter((line) => line.isChange).map(changeOf) : null;
  }

  get isEdited() {
    return this.lines.some((line) => line.isEdited);
  }

  /** Shows a fault that the service found in a member; `rest` is the place within its value. */
  show(name, rest, detail) {
    const line = this.lines.find((one) => one.memberName === name) ?? this.add(name);
    line.show(rest ? `At ${rest}: ${detail}` : detail.replace(line.hint, "").trim());
  }

  clear() {
    for (const line of this.lines) line.clear();
  }
}

function changeOf(line) {
  const name = line.memberName;
  return { name, key: line.before?.key ?? JSON.stringify(name), text: line.isGone ? null : line.text() };
}
