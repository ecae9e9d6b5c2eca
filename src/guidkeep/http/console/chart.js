// Two charts: a line of recent values, and the forecast with a bar for each day.

import { h, svg } from "./dom.js";
import { count, day } from "./format.js";

const HEIGHT = 220;
const MARGIN = { top: 12, right: 0, bottom: 24, left: 48 };

/** A line through the values, oldest first; null is a gap. The label beside it names the values. */
export function sparkline(values, length) {
  const most = Math.max(...values.filter((value) => value !== null), 0) || 1;
  const points = values.map((value, at) =>
    value === null ? null : `${(((length - values.length + at) / (length - 1)) * 100).toFixed(2)},${(27 - (value / most) * 25).toFixed(2)}`);
  const runs = points.reduce((all, point) => {
    if (point === null) return [...all, []];
    all.at(-1).push(point);
    return all;
  }, [[]]);
  return svg("svg", { class: "spark", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 100, y1: 27.5, y2: 27.5, class: "ground" }),
    runs.filter((run) => run.length > 1).map((run) => svg("polyline", { points: run.join(" ") })));
}

/** The forecast: the number of records that expire on each of the next days. */
export class Forecast {
  constructor(open) {
    this.open = open;
    this.days = [];
    this.summary = "";
    this.at = null; // the day under the pointer, counted from today
    this.readout = h("p", { class: "readout" });
    this.plot = h("div", { class: "plot" });
    this.rows = h("tbody");
    this.element = h("figure", { class: "forecast" }, this.readout, this.plot,
      h("details", null, h("summary", null, "The same as a table"),
        h("table", null,
          h("thead", null, h("tr", null, h("th", { scope: "col" }, "Day (UTC)"), h("th", { scope: "col" }, "Expire"))),
          this.rows)));
    this.plot.addEventListener("pointermove", ({ target }) => this.point(target.closest(".day")));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.plot.addEventListener("click", () => this.pointed && this.open(this.pointed));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.plot);
  }

  /** Shows a new forecast: `days` of {date, expire}, and the number that expires after them. */
  update(days, later) {
    const sum = days.reduce((all, { expire }) => all + expire, 0);
    this.days = days;
    this.summary = `${count(sum)} expire within ${days.length} days, ${count(later)} later.`;
    this.rows.replaceChildren(...days.filter(({ expire }) => expire > 0).map((one) =>
      h("tr", null, h("th", { scope: "row" }, h("a", { href: this.address(one) }, day(one.date))), h("td", null, count(one.expire)))));
    this.draw();
  }

  /** The address of the list of records that expire by the end of that day. */
  address({ date }) {
    return `#/records?before=${Date.parse(`${date}T00:00:00Z`) / 1000 + 86_400}`;
  }

  get pointed() {
    return this.days[this.at];
  }

  point(bar) {
    this.at = bar?.dataset.at ?? null;
    this.tell();
  }

  tell() {
    this.plot.querySelector(".day.pointed")?.classList.remove("pointed");
    this.plot.querySelector(`.day[data-at="${this.at}"]`)?.classList.add("pointed");
    const { pointed } = this;
    this.readout.textContent = pointed ? `${day(pointed.date)}: ${count(pointed.expire)} expire.` : this.summary;
  }

  /** Draws the chart again, for new values or a new width. The pointed day stays. */
  draw() {
    const width = this.plot.clientWidth;
    if (width && this.days.length) this.plot.replaceChildren(this.drawing(width));
    this.tell();
  }

  drawing(width) {
    const top = nice(Math.max(...this.days.map(({ expire }) => expire), 1));
    const x = (at) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * at) / this.days.length;
    const y = (value) => MARGIN.top + (HEIGHT - MARGIN.top - MARGIN.bottom) * (1 - value / top);
    return svg("svg", { width, height: HEIGHT, role: "img", "aria-label": `Forecast: ${this.summary}` },
      rules(top, width, y), this.days.map((one, at) => bar(one, at, x, y)), this.dates(x, width));
  }

  /** The labels: today, and the first of each month. */
  dates(x, width) {
    let free = -Infinity;
    return this.days.flatMap(({ date }, at) => {
      const isFirst = date.endsWith("-01");
      if ((at !== 0 && !isFirst) || x(at) < free || x(at) > width - 48) return [];
      free = x(at) + 64;
      const label = at === 0 ? "today" : day(date).replace(/^\w+ /, "");
      return [svg("line", { class: "tick", x1: x(at) + 0.5, x2: x(at) + 0.5, y1: HEIGHT - MARGIN.bottom, y2: HEIGHT - MARGIN.bottom + 5 }),
        svg("text", { x: x(at), y: HEIGHT - 4 }, label)];
    });
  }
}

function rules(top, width, y) {
  const steps = top >= 4 ? [0, top / 2, top] : Array.from({ length: top + 1 }, (_, at) => at);
  return steps.map((value) => [
    svg("line", { class: value ? "rule" : "ground", x1: MARGIN.left, x2: width, y1: Math.round(y(value)) + 0.5, y2: Math.round(y(value)) + 0.5 }),
    svg("text", { class: "scale", x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, compact(value)),
  ]);
}

function bar({ expire }, at, x, y) {
  const gap = x(1) - x(0) > 5 ? 2 : 1;
  const height = expire ? Math.max(y(0) - y(expire), 1) : 0;
  return svg("g", { class: "day", "data-at": at },
    svg("rect", { class: "reach", x: x(at), y: 0, width: x(at + 1) - x(at), height: HEIGHT - MARGIN.bottom }),
    svg("rect", { class: "bar", x: x(at), y: y(0) - height, width: Math.max(x(at + 1) - x(at) - gap, 1), height }));
}

/** The next round number whose half is a whole number. */
function nice(value) {
  if (value < 4) return value;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 4, 6, 8, 10].find((one) => one * power >= value) * power;
  return step;
}

function compact(value) {
  return value < 10_000 ? count(value) : value.toLocaleString("en-GB", { notation: "compact" });
}
