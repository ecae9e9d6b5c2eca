// The line above the page that says how current it is: the service is away, or was updated.

import { ask, service } from "./api.js";
import { h } from "./dom.js";
import { timeOfDay } from "./format.js";

const PAUSES = [1000, 2000, 4000, 8000];

let version = null;

/** Watches; `again` is called when the service answers once more. */
export function watch(again) {
  service.addEventListener("away", () => {
    const since = timeOfDay(Date.now());
    say("away", `The service has not answered since ${since}. What stands here is from before. `,
      "Trying again by itself.");
    tryAgain(0);
  });
  service.addEventListener("back", async () => {
    say("");
    await checkVersion();
    again();
  });
  checkVersion();
}

function say(kind, ...content) {
  const notice = document.getElementById("notice");
  notice.className = kind;
  notice.replaceChildren(...content);
}

function tryAgain(count) {
  const pause = PAUSES[Math.min(count, PAUSES.length - 1)];
  setTimeout(() => ask("GET", "/livez").catch(() => tryAgain(count + 1)), pause);
}

/** This page is of the version that served it; another one may have other files. */
async function checkVersion() {
  const { text } = await ask("GET", "/livez").catch(() => ({}));
  if (!text) return;
  const current = JSON.parse(text).version;
  document.getElementById("version").textContent = `Guidkeep ${current}`;
  version ??= current;
  if (current !== version) {
    const reload = h("button", { type: "button", click: () => location.reload() }, "Reload it");
    say("stale", `The service is ${current} now, this page of ${version}. `, reload);
  }
}
