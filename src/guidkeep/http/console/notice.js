// The notice above the page: the service does not respond, or was updated.

import { ask, service } from "./api.js";
import { h } from "./dom.js";
import { timeOfDay } from "./format.js";

const PAUSES = [1000, 2000, 4000, 8000];

let version = null;

/** Watches the service; calls `again` when it responds again. */
export function watch(again) {
  service.addEventListener("away", () => {
    const since = timeOfDay(Date.now());
    say("away", `The service has not responded since ${since}. This page shows older data. `,
      "Trying again automatically.");
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

/** Compares the service's version with that of this page, whose files may be outdated. */
async function checkVersion() {
  const { text } = await ask("GET", "/livez").catch(() => ({}));
  if (!text) return;
  const current = JSON.parse(text).version;
  document.getElementById("version").textContent = `Guidkeep ${current}`;
  version ??= current;
  if (current !== version) {
    const reload = h("button", { type: "button", click: () => location.reload() }, "Reload");
    say("stale", `The service was updated to ${current}; this page is from ${version}. `, reload);
  }
}
