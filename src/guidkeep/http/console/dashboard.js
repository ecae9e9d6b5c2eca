// Service: the present load, from /stats/service every two seconds, and the forecast, from /stats. A
// page that is not visible sends no requests.

import { Away, serviceStats, stats } from "./api.js";
import { Forecast, sparkline } from "./chart.js";
import { h } from "./dom.js";
import { count, rate, share, timeOfDay, took } from "./format.js";
import { between, quantile, reading } from "./load.js";

const PAUSE = 2000;
const STATS_PAUSE = 10_000;
/** Readings that the lines show: two minutes. */
const KEPT = 60;
/** Readings from which the present values are computed: ten seconds. */
const WINDOW = 5;

const VALUES = [
  ["rate", "Requests per second", rate],
  ["median", "Median response time", took],
  ["slowest", "99th percentile", took],
  ["hitRate", "Cache hits", share],
];

export async function show({ main, retitle, signal, go }) {
  retitle("Service");
  const board = new Board((one) => go(board.forecast.address(one)));
  main.replaceChildren(board.element);
  signal.addEventListener("abort", () => board.forecast.observer.disconnect());
  repeat(() => board.lookAhead(signal), STATS_PAUSE, signal);
  await repeat(() => board.look(signal), PAUSE, signal);
}

/** Repeats the work with pauses while the page is visible, until the user leaves the view. */
async function repeat(work, pause, signal) {
  if (signal.aborted) return;
  if (document.visibilityState === "visible") await work();
  if (!signal.aborted) setTimeout(() => repeat(work, pause, signal), pause);
}

class Board {
  constructor(open) {
    this.readings = [];
    this.forecast = new Forecast(open);
    this.values = new Map(VALUES.map(([name]) => [name, { value: h("dd", null, "–"), line: h("dd", { class: "line" }) }]));
    this.kinds = h("tbody");
    this.facts = h("dl", { class: "facts" });
    this.troubles = new Map();
    this.trouble = h("p", { class: "note", hidden: true });
    this.time = h("span", { class: "quiet" });
    this.counted = h("span", { class: "quiet" });
    this.element = h("div", { class: "service" },
      h("div", { class: "head" }, h("h1", null, "Service"), this.time), this.trouble,
      h("dl", { class: "counts" }, VALUES.map(([name, label]) => {
        const { value, line } = this.values.get(name);
        return h("div", { "data-value": name }, h("dt", null, label), value, line);
      })),
      h("section", { "aria-labelledby": "forecast" }, h("div", { class: "head" }, h("h2", { id: "forecast" }, "Forecast of expiry"), this.counted), this.forecast.element),
      h("div", { class: "pair" }, h("section", { "aria-labelledby": "kinds" }, h("h2", { id: "kinds" }, "Requests since start"),
        h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Requests by kind" }, h("table", { class: "kinds" },
          h("thead", null, h("tr", null, ["Request", "Responses", "4xx", "5xx", "Median", "99th percentile"].map((label) =>
            h("th", { scope: "col" }, label)))), this.kinds))),
      h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, "Contents"), this.facts)));
  }

  /** Reads the load once and shows it. After an error the former values stay, with their time. */
  async look(signal) {
    try {
      this.take(reading(await serviceStats(signal), Date.now()));
      this.time.textContent = `as of ${timeOfDay(Date.now())}`;
      this.say("load", null);
    } catch (error) {
      this.readings = [];
      if (!signal.aborted) this.say("load", error);
    }
  }

  /** Does the same for the counts of records, which may take the service a while. */
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
      one instanceof Away ? "These are the last values received." : `Some values are missing. ${one.message}`);
    this.trouble.hidden = known.length === 0;
    this.trouble.textContent = [...new Set(known)].join(" ");
  }

  take(latest) {
    const last = this.readings.at(-1);
    if (last && between(last, latest) === null) this.readings = [];
    this.readings = [...this.readings, latest].slice(-KEPT - 1);
    this.showValues(latest);
    this.kinds.replaceChildren(...[...latest.kinds].sort().map(([name, kind]) => h("tr", null,
      h("th", { scope: "row" }, name), [kind.count, kind.refused, kind.failed].map((number) => h("td", null, count(number))),
      [0.5, 0.99].map((part) => h("td", null, took(quantile(latest.bounds, kind.counts, part)))))));
  }

  showValues(latest) {
    const steps = this.readings.slice(1).map((one, at) => between(this.readings[at], one));
    const from = this.readings.at(-WINDOW - 1) ?? this.readings[0];
    const current = from === latest ? null : between(from, latest);
    for (const [name, , format] of VALUES) {
      const { value, line } = this.values.get(name);
      value.textContent = current ? format(current[name]) : "–";
      line.replaceChildren(sparkline(steps.map((step) => step[name]), KEPT));
    }
  }

  foresee({ as_of: asOf, live, forecast, later, cache, reclaimed }) {
    this.forecast.update(forecast, later);
    this.counted.textContent = `counted at ${timeOfDay(Number(asOf) * 1000)}`;
    const facts = [
      ["Live records", count(live)],
      ["Reclaimed since start", count(reclaimed)],
      ["Cache", cache.url],
      ["Cache entries", cache.entries === null ? null : count(cache.entries)],
      ["Cache size", cache.bytes === null ? null : `${(cache.bytes / 2 ** 20).toFixed(1)} MiB`],
      ["Hits and misses", `${count(cache.hits)} and ${count(cache.misses)}`],
    ];
    this.facts.replaceChildren(...facts.filter(([, value]) => value !== null).map(([label, value]) =>
      h("div", null, h("dt", null, label), h("dd", null, value))));
  }
}
