// Service: what it does at this moment, from /metrics every other second, and what will expire, from
// /stats. A page that is not looked at asks nothing.

import { ask, Away, stats } from "./api.js";
import { Forecast, sparkline } from "./chart.js";
import { h } from "./dom.js";
import { count, rate, share, timeOfDay, took } from "./format.js";
import { between, quantile, reading } from "./metrics.js";

const PAUSE = 2000;
const STATS_PAUSE = 10_000;
/** Readings that the lines are drawn from: two minutes. */
const KEPT = 60;
/** Readings over which the figures are taken: ten seconds. */
const WINDOW = 5;

const FIGURES = [
  ["rate", "Requests a second", rate],
  ["median", "Half are answered within", took],
  ["slowest", "99 % are answered within", took],
  ["hitRate", "Reads from the cache", share],
];

export async function show({ main, retitle, signal, go }) {
  retitle("Service");
  const board = new Board((one) => go(board.forecast.address(one)));
  main.replaceChildren(board.element);
  signal.addEventListener("abort", () => board.forecast.observer.disconnect());
  repeat(() => board.lookAhead(signal), STATS_PAUSE, signal);
  await repeat(() => board.look(signal), PAUSE, signal);
}

/** Does it again and again, with pauses, while somebody looks, until the view is left. */
async function repeat(work, pause, signal) {
  if (signal.aborted) return;
  if (document.visibilityState === "visible") await work();
  if (!signal.aborted) setTimeout(() => repeat(work, pause, signal), pause);
}

class Board {
  constructor(open) {
    this.readings = [];
    this.forecast = new Forecast(open);
    this.figures = new Map(FIGURES.map(([name]) => [name, { value: h("dd", null, "–"), line: h("dd", { class: "line" }) }]));
    this.kinds = h("tbody");
    this.facts = h("dl", { class: "facts" });
    this.troubles = new Map();
    this.trouble = h("p", { class: "note", hidden: true });
    this.time = h("span", { class: "quiet" });
    this.counted = h("span", { class: "quiet" });
    this.element = h("div", { class: "service" },
      h("div", { class: "head" }, h("h1", null, "Service"), this.time), this.trouble,
      h("dl", { class: "figures" }, FIGURES.map(([name, label]) => {
        const { value, line } = this.figures.get(name);
        return h("div", { "data-figure": name }, h("dt", null, label), value, line);
      })),
      h("section", { "aria-labelledby": "forecast" }, h("div", { class: "head" }, h("h2", { id: "forecast" }, "What will expire"), this.counted), this.forecast.element),
      h("div", { class: "pair" }, h("section", { "aria-labelledby": "kinds" }, h("h2", { id: "kinds" }, "Requests since the start"),
        h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Requests by kind" }, h("table", { class: "kinds" },
          h("thead", null, h("tr", null, ["Request", "Answered", "4xx", "5xx", "Half within", "99 % within"].map((label) =>
            h("th", { scope: "col" }, label)))), this.kinds))),
      h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, "What it holds"), this.facts)));
  }

  /** Asks once, and shows what came. Trouble is said; what was there stays, and says of when it is. */
  async look(signal) {
    try {
      const { text } = await ask("GET", "/metrics", { signal });
      this.take(reading(text, Date.now()));
      this.time.textContent = `as of ${timeOfDay(Date.now())}`;
      this.say("metrics", null);
    } catch (error) {
      this.readings = [];
      if (!signal.aborted) this.say("metrics", error);
    }
  }

  /** The same for what was counted, which may take the service a while. */
  async lookAhead(signal) {
    try {
      this.foresee(await stats(signal));
      this.say("stats", null);
    } catch (error) {
      if (!signal.aborted) this.say("stats", error);
    }
  }

  say(part, error) {
    this.troubles.set(part, error);
    const known = [...this.troubles.values()].filter(Boolean).map((one) =>
      one instanceof Away ? "These are the last figures that came." : `Not all can be shown. ${one.message}`);
    this.trouble.hidden = known.length === 0;
    this.trouble.textContent = [...new Set(known)].join(" ");
  }

  take(latest) {
    const last = this.readings.at(-1);
    if (last && between(last, latest) === null) this.readings = [];
    this.readings = [...this.readings, latest].slice(-KEPT - 1);
    this.tellFigures(latest);
    this.kinds.replaceChildren(...[...latest.kinds].sort().map(([name, kind]) => h("tr", null,
      h("th", { scope: "row" }, name), [kind.count, kind.refused, kind.failed].map((number) => h("td", null, count(number))),
      [0.5, 0.99].map((part) => h("td", null, took(quantile(kind.buckets, part)))))));
  }

  tellFigures(latest) {
    const steps = this.readings.slice(1).map((one, at) => between(this.readings[at], one));
    const from = this.readings.at(-WINDOW - 1) ?? this.readings[0];
    const current = from === latest ? null : between(from, latest);
    for (const [name, , format] of FIGURES) {
      const { value, line } = this.figures.get(name);
      value.textContent = current ? format(current[name]) : "–";
      line.replaceChildren(sparkline(steps.map((step) => step[name]), KEPT));
    }
  }

  foresee({ as_of: asOf, live, forecast, later, cache, reclaimed }) {
    this.forecast.update(forecast, later);
    this.counted.textContent = `counted at ${timeOfDay(Number(asOf) * 1000)}`;
    const facts = [
      ["Live records", count(live)],
      ["Reclaimed since the start", count(reclaimed)],
      ["Cache", cache.url],
      ["Entries in it", cache.entries === null ? null : count(cache.entries)],
      ["Room they take", cache.bytes === null ? null : `${(cache.bytes / 2 ** 20).toFixed(1)} MiB`],
      ["Hits and misses", `${count(cache.hits)} and ${count(cache.misses)}`],
    ];
    this.facts.replaceChildren(...facts.filter(([, value]) => value !== null).map(([label, value]) =>
      h("div", null, h("dt", null, label), h("dd", null, value))));
  }
}
