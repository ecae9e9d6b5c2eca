// The editor of metadata: a line for each member, with its errors beneath it. A value is plain text
// or JSON. Lines that nobody touched give back the text that was read.

import { freshId, h } from "./dom.js";
import { isMetadata } from "./json.js";

/** How a value's JSON text is edited: as plain text where that gives the same JSON back. */
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
    this.initial.value = this.value.value; // it takes every line break for a LF
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

  /** Whether its name is typed here, and not that of a member that was read or is asked for. */
  get isNamedHere() {
    return this.name instanceof HTMLInputElement;
  }

  /** What it is called where it is spoken of. */
  get called() {
    if (this.memberName.trim()) return this.memberName;
    return this.isNamedHere ? "the new member" : "the member without a name to see";
  }

  /** Whether it is otherwise than the form was opened with. */
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
    this.value.readOnly = this.kind.disabled = this.isGone; // it can still be told what is wrong
    this.element.classList.toggle("gone", this.isGone);
    this.clear();
    this.nameRemoval();
  }

  /** The value's JSON text: what was read, if it is as it was. */
  text() {
    if (!this.isChange) return this.before.text;
    return this.kind.value === "text" ? JSON.stringify(this.value.value) : this.value.value.trim();
  }

  /** What is wrong with it as it stands, or null. */
  wrong(names) {
    if (this.isGone) return null;
    const name = this.memberName;
    if (this.isNamedHere && !name.trim()) return "Give the member a name.";
    // Sent as a member, ttl would move the expiry; an old one of that name can stay, or go.
    if (!isMetadata(name) || (name === "ttl" && this.isChange)) return `${name} is no metadata: it has its own field above.`;
    if (names.filter((one) => one === name).length > 1) return `There is another ${name}: a name stands once.`;
    try {
      JSON.parse(this.text());
    } catch (error) {
      return `This is not JSON (${error.message}). For a plain text choose “text”.`;
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

/** The part of a form; `members` are those that are there, `schema` says which are asked for. */
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
      ?? (this.schema.required?.includes(member.name) ? "Asked for by the schema." : null);
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

  /** What was changed, as `change.js` has it; null: something is wrong, and says so. */
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

  /** Shows what the service found wrong at that member; `rest` is the place within its value. */
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
