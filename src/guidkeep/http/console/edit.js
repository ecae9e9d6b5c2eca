// Edit: changes apply only to the version that was read. If another write came first, both versions
// are shown.

import { create, metadataSchema, read, Refused, write } from "./api.js";
import { apply, compare, request } from "./change.js";
import { showConflict } from "./conflict.js";
import { follow, remaining } from "./countdown.js";
import { announce, h } from "./dom.js";
import { Editor } from "./editor.js";
import { Expiry } from "./expiry.js";
import { showFaults, summary } from "./faults.js";
import { instant } from "./format.js";
import { grouped } from "./guid.js";
import { members, metadata, object, valueOf } from "./json.js";

export async function show(place) {
  const { words: [guid], signal } = place;
  place.retitle(`Edit ${guid}`);
  const [{ text, etag }, schema] = await Promise.all([read(guid, { signal }), metadataSchema(signal)]);
  const edit = { place, guid, etag, base: members(text) };
  edit.fields = {
    editor: new Editor(metadata(edit.base), schema),
    expiry: new Expiry("unchanged"),
    summary: summary(),
  };
  edit.form = formOf(edit);
  place.main.replaceChildren(edit.form);
  place.hold(() => edit.fields.editor.isEdited || edit.fields.expiry.isEdited);
}

function formOf(edit) {
  const { guid, fields } = edit;
  const expire = Number(valueOf(edit.base, "expire"));
  const left = h("span", { role: "timer", class: "left" });
  edit.submit = h("button", { type: "submit", class: "main" }, "Save");
  follow(left, expire, () => announce("The record expired while you edited it."), true);
  return h("form", {
    class: "sheet", novalidate: true, "aria-label": "Edit the record",
    submit: (event) => {
      event.preventDefault();
      save(edit);
    },
  },
  h("h1", null, h("span", { class: "over" }, "Edit "), grouped(guid)),
  h("p", { class: "quiet" }, `Expires ${instant(expire)} UTC: `, left),
  fields.summary, fields.expiry.element, fields.editor.element,
  h("div", { class: "actions" }, edit.submit, h("a", { href: `#/record/${guid}`, click: () => release(edit) }, "Cancel")));
}

function changesOf({ fields: { editor, expiry } }) {
  const right = expiry.check();
  const changes = editor.changes();
  return right && changes ? [...expiry.changes(), ...changes] : null;
}

async function save(edit) {
  edit.fields.summary.replaceChildren();
  const changes = changesOf(edit);
  if (!changes) edit.form.querySelector("[aria-invalid]").focus();
  else if (changes.length === 0) done(edit, "Nothing was changed.");
  else {
    edit.submit.disabled = true;
    await send(edit, edit.base, changes, edit.etag);
    edit.submit.disabled = false;
  }
}

/** Sends the changes to the version of `etag`, which has the members `stored`. */
async function send(edit, stored, changes, etag) {
  const { method, body } = request(stored, changes);
  try {
    await write(method, edit.guid, body, etag);
    done(edit, "Saved.");
  } catch (error) {
    const status = error instanceof Refused ? error.status : 0;
    if (!edit.form.isConnected) edit.place.main.replaceChildren(edit.form);
    if (status === 412) await meet(edit, changes);
    else if (status === 404) gone(edit, changes);
    else showFaults(error, edit.form, edit.fields);
  }
}

function done(edit, note) {
  release(edit);
  edit.place.go(`#/record/${edit.guid}`, { note });
}

/** The changes are saved or discarded: lets the user leave the form. */
function release({ place }) {
  place.hold(() => false);
}

/** Another version is stored: shows both, unless the stored one has all changes already. */
async function meet(edit, changes) {
  let response;
  try {
    response = await read(edit.guid);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) gone(edit, changes);
    else showFaults(error, edit.form, edit.fields);
    return;
  }
  const stored = members(response.text);
  const differences = compare(edit.base, changes, stored);
  if (differences.every(({ mine, theirs, base }) => mine === theirs || mine === base)) {
    const isMine = differences.some(({ mine, base }) => mine !== base);
    if (isMine) return void done(edit, "Your earlier save has succeeded.");
  }
  showConflict(edit.place.main, {
    guid: edit.guid,
    differences,
    save: (chosen) => send(edit, stored, chosen, response.etag),
    discard: () => release(edit),
    back: () => edit.place.main.replaceChildren(edit.form),
  });
}

/** The record has gone during the edit: offers to create it again from the form. */
function gone(edit, changes) {
  const anew = h("button", { type: "button", click: () => createAnew(edit, changes, anew) }, "Create it again from this form");
  edit.fields.summary.replaceChildren(
    h("p", null, "The record no longer exists: it was deleted, or has expired. Nothing was saved."), anew);
  anew.focus();
}

async function createAnew(edit, changes, button) {
  const whole = apply(edit.base, changes).filter(({ name }) => name !== "guid");
  const expire = Number(valueOf(whole, "expire"));
  button.disabled = true;
  try {
    // An instant in the past is left out, so the default applies.
    await create(edit.guid, object(whole.filter(({ name }) => name !== "expire" || remaining(expire) > 0)));
    done(edit, "Created again.");
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 412) showFaults(error, edit.form, edit.fields);
    else edit.fields.summary.replaceChildren(h("p", null, "Somebody else has created it again. Save again to see both."));
  }
}
