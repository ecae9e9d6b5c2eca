// Deletes a record after a confirmation, and only the version that the user has seen.

import { Refused, remove } from "./api.js";
import { announce, h } from "./dom.js";
import { grouped } from "./guid.js";

/** Asks for confirmation, deletes the record, and opens the list. */
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
    h("p", null, "This can’t be undone. The GUID can be used again."),
    said,
    h("div", { class: "actions" }, sure,
      h("button", { type: "button", autofocus: true, click: () => dialog.close() }, "Keep it"))));
  main.append(dialog);
  if (dialog.isConnected) dialog.showModal(); // not if the user has left the view
}

function closed(dialog, opener) {
  const view = dialog.parentElement;
  dialog.remove();
  const isThere = opener.isConnected; // false if the record has expired meanwhile
  (isThere ? opener : view?.querySelector(".actions a"))?.focus();
}

async function carryOut(dialog, sure, said, guid, etag, go) {
  sure.disabled = true;
  said.replaceChildren();
  try {
    await remove(guid, etag);
    announce(`${guid} was deleted.`);
    dialog.close();
    go("#/records");
  } catch (error) {
    const status = error instanceof Refused ? error.status : 0;
    sure.disabled = status === 412 || status === 404;
    said.replaceChildren(...explained(status, error, () => go(`#/record/${guid}`, { replace: true })));
  }
}

function explained(status, error, look) {
  if (status === 404) return ["The record no longer exists: it was deleted, or has expired."];
  if (status !== 412) return [error.message];
  return ["The record has changed since you opened it, so it was not deleted. ",
    h("button", { type: "button", class: "link", click: look }, "View the new version")];
}
