// Deletes a record, once that is confirmed, and only the version that was looked at.

import { Refused, remove } from "./api.js";
import { announce, h } from "./dom.js";
import { grouped } from "./guid.js";

/** Asks, deletes, and leads to the list. */
export function confirmRemoval({ main, go }, guid, etag, opener) {
  const said = h("p", { class: "fault", role: "alert" });
  const sure = h("button", { type: "submit", class: "grave" }, "Delete it");
  const dialog = h("dialog", { "aria-labelledby": "removal", close: () => closed(dialog, opener) },
    h("form", {
      method: "dialog",
      submit: (event) => {
        event.preventDefault();
        carryOut(dialog, sure, said, guid, etag, go);
      },
    },
    h("h2", { id: "removal" }, "Delete this record?"),
    h("p", null, grouped(guid)),
    h("p", null, "It is gone at once and for good; its GUID can be used anew."),
    said,
    h("div", { class: "actions" }, sure,
      h("button", { type: "button", autofocus: true, click: () => dialog.close() }, "Keep it"))));
  main.append(dialog);
  if (dialog.isConnected) dialog.showModal(); // not if the view is left already
}

function closed(dialog, opener) {
  const view = dialog.parentElement;
  dialog.remove();
  const isThere = opener.isConnected; // not if the record has expired meanwhile
  (isThere ? opener : view?.querySelector(".actions a"))?.focus();
}

async function carryOut(dialog, sure, said, guid, etag, go) {
  sure.disabled = true;
  said.replaceChildren();
  try {
    await remove(guid, etag);
    announce(`${guid} is deleted.`);
    dialog.close();
    go("#/records");
  } catch (error) {
    const status = error instanceof Refused ? error.status : 0;
    sure.disabled = status === 412 || status === 404;
    said.replaceChildren(...explained(status, error, () => go(`#/record/${guid}`, { replace: true })));
  }
}

function explained(status, error, look) {
  if (status === 404) return ["It is not there any more: it was deleted, or has expired."];
  if (status !== 412) return [error.message];
  return ["It has been changed since you looked, so it was not deleted. ",
    h("button", { type: "button", class: "link", click: look }, "Look at it as it is now")];
}
