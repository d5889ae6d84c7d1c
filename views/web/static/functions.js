// Which function costs what, and which one gets dearer with the rate: a table, and one function against the throughput.

import { axis, draw, faint } from "./charts.js";
import { functionColour, hasColour, token } from "./colours.js";
import { fill, h, named, svg, tell } from "./dom.js";
import * as f from "./format.js";
import { ask, runPath } from "./source.js";
import { set } from "./state.js";

const SPARKS = 60;
const MARGIN = { l: 58, r: 14, t: 10, b: 44 };
const COLUMNS = [
  { key: "name", head: "function", text: (one) => one.function },
  { key: "growth", head: "growth", unit: "95%", value: (one) => (one.shape === "superlinear" ? 100 : 0) + (one.growth ?? -1) },
  { key: "self", head: "self", unit: "of CPU", value: (one) => one.self_share },
  { key: "total", head: "total", unit: "of CPU", value: (one) => one.total_share },
  { key: "cost", head: "self", unit: "µs/request", value: (one) => one.self_us_per_request },
  { key: "whole", head: "total", unit: "µs/request", value: (one) => one.total_us_per_request },
  { key: "samples", head: "samples", unit: "", value: (one) => one.samples },
];

export class FunctionsView {
  constructor(run) {
    this.run = run;
    this.search = h("input", { type: "search", placeholder: "Filter functions  /", "aria-label": "Filter functions", size: 20, oninput: () => set({ q: this.search.value }) });
    this.search.dataset.key = "/";
    this.note = h("span", { class: "note" });
    this.table = h("div", { class: "scroll" }, h("p", { class: "pending" }, "Making the report …"));
    this.left = h("details", { class: "quiet", hidden: true });
    this.title = h("h2", {}, "CPU over throughput");
    this.sentence = h("span", { class: "note", role: "status" });
    this.plot = h("div", { class: "plot" });
    this.box = h("div", { class: "plotbox", style: { height: "380px", cursor: "default" } }, this.plot);
    this.box.addEventListener("mousemove", (event) => this.point(event));
    this.box.addEventListener("mouseleave", () => tell(null));
    this.legend = h("div", { class: "legend body" });
    this.facts = h("div", { class: "body" });
    this.element = [h("div", { class: "split" },
      h("section", { class: "card", "aria-label": "Functions" }, h("header", {}, h("h2", {}, "Functions"), this.note, h("span", { class: "spread" }), this.search), this.table, this.left),
      h("section", { class: "card sticky", "aria-label": "One function" }, h("header", {}, this.title, this.sentence), this.box, this.legend, this.facts))];
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  async refresh() {
    const { id, head } = this.run;
    const ends = head.stages.length ? { from: head.stages[0].from_s, to: Math.max(...head.stages.map((one) => one.to_s)) } : {};
    [this.sparks, this.series] = await Promise.all([ask(runPath(id, "hot"), { most: 200, buckets: SPARKS, ...ends }), ask(runPath(id, "series"), { buckets: SPARKS, ...ends })]);
    this.run.colour(this.sparks.functions);
    await this.update(this.run.values);
  }

  onReport() {
    this.update(this.run.values);
  }

  /** The functions of the report, with their labels, in the order that was asked for. */
  sorted(values) {
    const { report } = this.run;
    const [key, isUp] = [values.sort?.replace(/^-/, "") ?? "self", values.sort?.startsWith("-")];
    const column = COLUMNS.find((one) => one.key === key) ?? COLUMNS[2];
    const words = (values.q ?? "").toLowerCase();
    const rows = report.functions.map((one) => ({ ...one, label: one.file ? `${one.function} (${one.file})` : one.function }))
      .filter((one) => one.label.toLowerCase().includes(words));
    rows.sort((x, y) => (column.text ? column.text(x).localeCompare(column.text(y)) : column.value(y) - column.value(x)));
    return { rows: isUp ? rows.reverse() : rows, column, isUp };
  }

  async update(values) {
    this.values = values;
    if (!this.run.report && this.run.trouble) fill(this.table, h("p", { class: "pending" }, this.run.waiting));
    if (!this.run.report || !this.sparks) return;
    if (document.activeElement !== this.search) this.search.value = values.q ?? "";
    this.drawLeft();
    const { rows, column, isUp } = this.sorted(values);
    const chosen = values.fn ?? rows[0]?.label;
    this.drawTable(rows, column, isUp, chosen);
    if (chosen !== this.chosen || this.run.head.state === "live") await this.choose(chosen);
    else await this.draw();
  }

  /** What growth and cost do not rest on: in a line, and why once it is opened. */
  drawLeft() {
    const phrases = this.run.report.growth.left_out;
    this.left.hidden = !phrases.length;
    fill(this.left, h("summary", {}, `Growth and cost per request leave out ${phrases.map((one) => one.split(" (")[0]).join(", ")}.`),
      h("ul", {}, phrases.map((one) => h("li", {}, one))),
      h("p", {}, "Where the service failed, queued or had no core left, or the load or the host was the limit, a cost says more about that than about the function."));
  }

  drawTable(rows, column, isUp, chosen) {
    const { report } = this.run;
    fill(this.note, `${f.count(rows.length)} that weigh something; growth 1: costs the same per request at every rate`);
    if (!rows.length) return fill(this.table, h("div", { class: "empty" }, report.functions.length ? "No function matches." : "There is no profile of this run."));
    const at = this.table.scrollTop;
    const order = (one) => set({ sort: column.key === one.key && !isUp ? `-${one.key}` : one.key === "self" ? "" : one.key });
    const head = COLUMNS.map((one) => h("th", { class: one.text ? "" : "n", scope: "col", "aria-sort": column.key === one.key ? (isUp ? "ascending" : "descending") : undefined },
      h("button", { type: "button", onclick: () => order(one) }, one.head, one.unit && h("span", { class: "unit" }, ` ${one.unit}`), column.key === one.key ? (isUp ? " ▲" : " ▼") : "")));
    head.splice(1, 0, h("th", { scope: "col" }, "CPU", h("span", { class: "unit" }, " over time")));
    fill(this.table, h("table", { class: "grid", "aria-label": "Functions" }, h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, rows.map((one) => this.row(one, one.label === chosen)))));
    this.table.scrollTop = at;
  }

  row(one, isChosen) {
    const most = Math.max(...this.run.report.functions.map((other) => other.self_share), 1e-9);
    const choose = () => set({ fn: one.label });
    const growth = one.growth === null ? h("span", { class: "dim" }, "–") : [h("span", { class: `growth ${one.shape}` }, one.growth.toFixed(2)),
      h("span", { class: "dim" }, ` [${one.growth_low.toFixed(1)}, ${one.growth_high.toFixed(1)}]`)];
    const key = (event) => {
      if (event.key === "Enter" || event.key === " ") choose();
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") (event.key === "ArrowDown" ? event.currentTarget.nextSibling : event.currentTarget.previousSibling)?.focus();
      else return;
      event.preventDefault();
    };
    return h("tr", { class: "pick", tabindex: 0, "aria-selected": String(isChosen), "data-label": one.label, onclick: choose, onkeydown: key },
      h("td", { class: "clip", title: one.label + (one.inherits_from ? `\ngrows through ${one.inherits_from}` : "") },
        named(h("i", { class: "swatch", style: { background: functionColour(one.label) } }), f.brief(one.label), one.file)),
      h("td", {}, this.spark(one.label)),
      h("td", { class: "n", title: one.inherits_from ? `grows through ${one.inherits_from}` : one.shape }, one.inherits_from && h("span", { class: "dim" }, "↳ "), growth),
      h("td", { class: "n" }, h("span", { class: "bar", style: { width: "64px", "margin-left": "auto" } }, h("i", { style: { width: `${(100 * one.self_share) / most}%` } }), h("span", {}, f.percent(one.self_share)))),
      h("td", { class: "n" }, f.percent(one.total_share)),
      h("td", { class: "n" }, f.number(one.self_us_per_request)),
      h("td", { class: "n", title: one.us_low === null ? "" : `95% interval: ${f.number(one.us_low)} to ${f.number(one.us_high)}` }, f.number(one.total_us_per_request)),
      h("td", { class: "n dim" }, f.count(one.samples)));
  }

  /** CPU per second of a function over the run, each on a scale of its own. */
  spark(label) {
    const found = this.sparks.functions.find((one) => one.label === label);
    const [width, height] = [96, 18];
    if (!found) return svg("svg", { class: "spark", width, height });
    const values = found.total_us.map((us, place) => (this.series.watched_s[place] > 0 ? us / this.series.watched_s[place] : 0));
    const most = Math.max(...values, 1e-9);
    const x = (place) => (width * (place + 0.5)) / values.length;
    const points = values.map((value, place) => `${x(place).toFixed(1)},${(height - 2 - ((height - 4) * value) / most).toFixed(1)}`);
    const colour = hasColour(label) ? functionColour(label) : token("--ink-3");
    return svg("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `at most ${f.cores(most / 1e6)} cores` },
      svg("polygon", { points: `${x(0)},${height} ${points.join(" ")} ${x(values.length - 1)},${height}`, fill: faint(colour.startsWith("#") ? colour : "#888888", 0.18) }),
      svg("polyline", { points: points.join(" "), fill: "none", stroke: colour, "stroke-width": 1.3 }));
  }

  async choose(label) {
    this.chosen = label;
    fill(this.title, label ? f.brief(label) : "CPU over throughput");
    this.title.title = label ?? "";
    if (!label) return;
    try {
      const points = await ask(runPath(this.run.id, "function"), { label });
      if (this.chosen === label) this.points = points;
    } catch (error) {
      this.points = null;
      fill(this.sentence, error.message);
    }
    await this.draw();
  }

  async draw() {
    const { points } = this;
    if (!points || points.label !== this.chosen) return;
    fill(this.sentence, points.sentence);
    const used = new Set(points.used);
    const colour = hasColour(points.label) ? functionColour(points.label) : token("--accent");
    const dots = (places, more) => ({ x: places.map((place) => points.tps[place]), y: places.map((place) => points.cores[place]), type: "scatter", mode: "markers", marker: more });
    const all = points.tps.map((_, place) => place);
    const traces = [dots(all.filter((place) => !used.has(place)), { size: 6, symbol: "circle-open", color: token("--ink-3"), line: { width: 1 } }),
      dots(all.filter((place) => used.has(place)), { size: 7, color: colour, line: { width: 0.5, color: token("--raised") } })];
    if (points.curve) {
      const { tps, cores, low, high } = points.curve;
      traces.unshift({ x: tps, y: low, type: "scatter", mode: "lines", line: { width: 0 } },
        { x: tps, y: high, type: "scatter", mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: faint(colour.startsWith("#") ? colour : "#888888", 0.2) },
        { x: tps, y: cores, type: "scatter", mode: "lines", line: { width: 2, color: colour } });
      const line = tps.map((value) => (cores[0] / tps[0]) * value);
      traces.unshift({ x: tps, y: line, type: "scatter", mode: "lines", line: { width: 1.2, dash: "dot", color: token("--ink-3") } });
    }
    this.scale = { x: [0, Math.max(1, ...points.tps) * 1.05], y: [0, Math.max(0.001, ...points.cores, ...(points.curve?.high ?? [])) * 1.08] };
    await draw(this.plot, traces, { margin: MARGIN, xaxis: axis("answered requests/s", { range: this.scale.x }), yaxis: axis("CPU per second, cores", { range: this.scale.y, nticks: 7 }) });
    fill(this.legend, h("span", {}, h("i", { class: "swatch", style: { background: colour } }), " a window that the fit rests on"),
      h("span", {}, "○ left out: settling, limited, or in no measured stage"),
      points.curve && h("span", {}, h("i", { class: "swatch line", style: { background: colour } }), " fitted growth, 95% band"),
      points.curve && h("span", {}, h("i", { class: "swatch dash", style: { "border-color": token("--ink-3"), width: "16px" } }), " the same cost per request at every rate"));
    const one = this.run.report?.functions.find((row) => `${row.function} (${row.file})` === points.label || row.function === points.label);
    fill(this.facts, one && h("table", { class: "grid pairs" }, h("tbody", {}, [
      ["function", h("span", { class: "mono" }, points.label)],
      one.us_low !== null && ["total, µs/request, 95% interval", `${f.number(one.total_us_per_request)} [${f.number(one.us_low)}, ${f.number(one.us_high)}]`],
      one.us_at_lowest !== null && ["µs/request at the lowest and the highest rate", `${f.number(one.us_at_lowest)} → ${f.number(one.us_at_highest)}`],
      one.inherits_from && ["grows through", h("a", { href: "", onclick: (event) => (event.preventDefault(), set({ fn: one.inherits_from })) }, one.inherits_from)],
      one.part_of && ["part of", one.part_of],
      ...one.endpoints.map((cost) => [`a request of ${cost.endpoint}, total µs, 95% interval`,
        `${f.number(cost.us_per_request)} [${f.number(cost.us_low)}, ${f.number(cost.us_high)}], ${f.percent(cost.share)} of this function's CPU`]),
    ].filter(Boolean).map(([name, value]) => h("tr", {}, h("td", { class: "dim" }, name), h("td", { class: "wrap" }, value))))),
    one && this.run.report.endpoints_note && h("p", { class: "note" }, this.run.report.endpoints_note.replaceAll("`", "")));
  }

  point(event) {
    const { points, scale } = this;
    if (!points || !scale) return;
    const area = this.box.getBoundingClientRect();
    const [width, height] = [area.width - MARGIN.l - MARGIN.r, area.height - MARGIN.t - MARGIN.b];
    let best = null;
    points.tps.forEach((tps, place) => {
      const x = area.left + MARGIN.l + (tps / scale.x[1]) * width;
      const y = area.top + MARGIN.t + height - (points.cores[place] / scale.y[1]) * height;
      const far = Math.hypot(x - event.clientX, y - event.clientY);
      if (far < 14 && (!best || far < best.far)) best = { far, place };
    });
    tell(best && event, ...(best ? [`${f.clock(points.t_s[best.place])} into the run: ${f.rate(points.tps[best.place])} requests/s, ${f.cores(points.cores[best.place])} cores`,
      `${f.micros((points.cores[best.place] / Math.max(points.tps[best.place], 1e-9)) * 1e6)} per request`] : []));
  }
}
