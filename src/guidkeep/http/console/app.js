// The entry point: it chooses the view. The part of the address after # has the whole state, so that
// every view can be linked and the browser's back button works.

import { Away, Refused } from "./api.js";
import { forget } from "./countdown.js";
import { h } from "./dom.js";
import * as create from "./create.js";
import * as dashboard from "./dashboard.js";
import * as edit from "./edit.js";
import * as find from "./find.js";
import * as list from "./list.js";
import { watch } from "./notice.js";
import * as record from "./record.js";

const VIEWS = [
  [/^\/?$/, find],
  [/^\/records$/, list],
  [/^\/new$/, create],
  [/^\/service$/, dashboard],
  [/^\/record\/([^/]+)$/, record],
  [/^\/record\/([^/]+)\/edit$/, edit],
];

const main = document.getElementById("main");
let leaving = new AbortController();
let current = null;
let said = null; // a note from the view before, for the next one to show

/**
 * Shows the view of the address. A view is a module with `show(place)`; `place` has:
 *   main: takes the view's content by `replaceChildren` and `append`;
 *   words: the variable parts of the address;
 *   query: the address's parameters;
 *   signal: aborted when the user leaves the view;
 *   go: opens another view;
 *   retitle: sets the page's title;
 *   note: a note from the view before, or null;
 *   hold: takes a function that returns whether there are unsaved changes. If there are, the user is
 *     asked before the view is left.
 * After the view is left, these have no effect on the page: a save may end later. `show` may return a
 * function `again`, which is called when the service is back after an outage.
 */
async function route({ keepsFocus = false } = {}) {
  leaving.abort();
  leaving = new AbortController();
  forget();
  const { signal } = leaving;
  const [path, ...search] = location.hash.slice(1).split("?");
  const [view, words] = viewOf(path);
  const shown = { failed: false, isUnsaved: () => false };
  const live = (act) => (...given) => { if (!signal.aborted) act(...given); };
  const place = {
    main: {
      replaceChildren: live((...content) => main.replaceChildren(...content)),
      append: live((...content) => main.append(...content)),
    },
    words, query: new URLSearchParams(search.join("?")), signal, note: said,
    go: live(go), retitle: live(retitle), hold: live((isUnsaved) => { shown.isUnsaved = isUnsaved; }),
  };
  said = null;
  mark(path);
  main.setAttribute("aria-busy", "true");
  current = shown;
  try {
    shown.again = await (view ? view.show(place) : nowhere());
  } catch (error) {
    if (signal.aborted) return;
    shown.failed = true;
    explain(error);
  }
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  // Not if the view or the user has moved the focus already.
  if (!keepsFocus && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

function viewOf(path) {
  for (const [pattern, view] of VIEWS) {
    const found = path.match(pattern);
    if (found) return [view, found.slice(1).map(decoded)];
  }
  return [null, []];
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word; // a lone %
  }
}

function mark(path) {
  const section = path.startsWith("/record") ? "/records" : path || "/";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Opens a view, which shows `note` if it shows notes. */
function go(hash, { replace = false, note = null } = {}) {
  said = note;
  const before = location.hash;
  if (replace) history.replaceState(null, "", hash);
  else location.hash = hash;
  if (replace || location.hash === before) route(); // these cause no hashchange event
}

function retitle(title) {
  document.title = `${title} – Guidkeep`;
}

function nowhere() {
  retitle("Nothing here");
  main.replaceChildren(
    h("h1", null, "There is nothing at this address"),
    h("p", null, "See the ", h("a", { href: "#/records" }, "records"), "."),
  );
}

function explain(error) {
  retitle("Error");
  const known = error instanceof Refused || error instanceof Away;
  if (!known) console.error(error);
  const id = error.problem?.request_id;
  main.replaceChildren(
    h("h1", null, error instanceof Away ? "The service does not respond" : "This can’t be shown"),
    h("p", null, known ? error.message : "The console has a fault. The browser’s console has the details."),
    ...(id ? [h("p", { class: "quiet" }, `The service’s log has the details under ${id}.`)] : []),
    h("p", null, h("button", { type: "button", click: () => route() }, "Try again")),
  );
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // #main would be read as the address of a view
  main.focus();
});
window.addEventListener("beforeunload", (event) => {
  if (current.isUnsaved()) event.preventDefault();
});
window.addEventListener("hashchange", ({ oldURL }) => {
  if (current.isUnsaved() && !confirm("Leave without saving your changes?")) {
    history.pushState(null, "", oldURL);
    return;
  }
  window.scrollTo(0, 0);
  route();
});
watch(() => (current.failed ? route() : current.again?.()));
route({ keepsFocus: true });
