// Latency over time as a heat map, percentiles by endpoint, and what the service was doing when a request was slow.

import { TimeBox } from "./axis.js";
import { axis, draw, timeTicks } from "./charts.js";
import { isDark, token } from "./colours.js";
import { fill, h, segments, tell } from "./dom.js";
import { FlamePanel } from "./flame.js";
import * as f from "./format.js";
import { ask, isSaved, runPath } from "./source.js";
import { set } from "./state.js";

const HEIGHT = 400;
const MARGIN = { l: 66, r: 12, t: 10, b: 42 };
const LINES = [["p50_ms", "p50", 1.2, "dot"], ["p90_ms", "p90", 1.2, "dash"], ["p99_ms", "p99", 2, "solid"], ["p999_ms", "p99.9", 1.2, "dashdot"]];
const QUANTILES = [["p50_ms", "p50"], ["p90_ms", "p90"], ["p95_ms", "p95"], ["p99_ms", "p99"], ["p999_ms", "p99.9"]];

export class LatencyView {
  constructor(run) {
    this.run = run;
    this.axis = { from: 0, to: 1, step: 1 };
    this.box = new TimeBox({
      height: HEIGHT, left: MARGIN.l, right: MARGIN.r, times: () => this.axis, label: "Latency over time: arrow keys read, Enter opens the slowest cell",
      onRead: (at, event) => this.read(at, event), onClick: (at, y) => this.click(at, y), onSelect: null,
    });
    this.box.element.classList.add("cells");
    this.endpoint = h("span");
    this.told = h("div", { class: "told body", role: "status" });
    this.table = h("div", { class: "body" });
    this.cell = h("div", { hidden: true });
    this.requests = h("div", { class: "body" });
    this.cellTitle = h("h2");
    this.flame = new FlamePanel({ title: "What the service was doing then" });
    this.cell.append(h("section", { class: "card", "aria-label": "Requests of the cell" },
      h("header", {}, this.cellTitle, h("span", { class: "spread" }), h("button", { class: "button", type: "button", onclick: () => set({ cell: "", zoom: "" }) }, "Close")), this.requests));
    this.cell.append(this.flame.element);
    this.cell.style.display = "grid";
    this.cell.style.gap = "12px";
    this.element = [
      h("section", { class: "card", "aria-label": "Latency over time" },
        h("header", {}, h("h2", {}, "Latency over time"), h("span", { class: "note" }, `${this.run.head.observed ? "as whoever told of the requests took it" : "from the scheduled start"}; click a cell to see what the service was doing then`), h("span", { class: "spread" }), this.endpoint),
        this.box.element, this.told),
      this.cell,
      h("section", { class: "card", "aria-label": "Percentiles" }, h("header", {}, h("h2", {}, "Percentiles by endpoint"), h("span", { class: "note" }, "over the whole run; > is a lower bound: requests were not answered")), this.table),
    ];
    new ResizeObserver(() => this.draw()).observe(this.box.element);
  }

  async refresh() {
    this.asked = null;
    await this.run.ensureColours();
    await this.update(this.run.values);
  }

  async update(values) {
    this.values = values;
    const endpoint = values.endpoint ?? "";
    if (this.asked !== endpoint) {
      this.asked = endpoint;
      const answer = await ask(runPath(this.run.id, "latency"), { endpoint });
      if (this.asked !== endpoint) return;
      this.answer = answer;
      // Profilers are there before the first request and after the last.
      const used = answer.t_s.filter((_, bucket) => answer.counts.some((row) => row[bucket]));
      this.axis = { from: used[0] ?? 0, to: (used.at(-1) ?? 0) + answer.step_s, step: answer.step_s };
    }
    if (!this.answer) return;
    fill(this.endpoint, segments("Endpoint", [["", "All"], ...this.run.head.endpoints.slice(0, 8).map((name) => [name, name])], endpoint, (name) => set({ endpoint: name, cell: "" })));
    this.drawTable();
    await this.draw();
    await this.showCell();
  }

  get rows() {
    return this.answer.counts.length;
  }

  async draw() {
    const { answer } = this;
    if (!answer) return;
    if (!this.rows) return fill(this.told, "No request ended in this run yet.");
    const ticks = this.latencyTicks();
    const most = Math.max(...answer.counts.flat());
    const low = isDark() ? "#1d232b" : "#f3ede6";
    const scale = isDark() ? [[0, low], [0.35, "#6b3a16"], [0.7, "#d9601a"], [1, "#ffd9b8"]] : [[0, low], [0.35, "#f7b27a"], [0.7, "#d9541a"], [1, "#5c1a04"]];
    const z = answer.counts.map((row) => row.map((number) => (number ? Math.log10(number) : null)));
    const half = answer.step_s / 2;
    const place = (value) => (f.known(value) ? this.placeOf(value) : null);
    const traces = [
      { type: "heatmap", x: answer.t_s.map((at) => at + half), y: answer.counts.map((_, row) => row + 0.5), z, zmin: 0, zmax: Math.max(Math.log10(most), 0.3), colorscale: scale, showscale: false, xgap: 0.5, ygap: 0.5, hoverinfo: "skip" },
      ...LINES.filter(([key]) => key === "p50_ms" || key === "p99_ms").map(([key, , width, dash]) => ({
        type: "scatter", mode: "lines", x: answer.t_s.map((at) => at + half), y: answer[key].map(place), line: { color: token("--ink"), width, dash } })),
    ];
    const { from, to } = this.axis;
    await draw(this.box.plot, traces, {
      margin: MARGIN,
      xaxis: { ...axis("time since the start of the run"), ...timeTicks(from, to, this.box.width), showgrid: false },
      yaxis: axis("latency", { range: [0, this.rows], tickmode: "array", tickvals: ticks.map(([at]) => at), ticktext: ticks.map(([, text]) => text) }),
      shapes: this.chosenCell(),
    });
    this.box.repaint(MARGIN.t, MARGIN.b);
    if (this.box.cursor === null) this.tellLegend(most);
  }

  tellLegend(most) {
    const colours = isDark() ? "#1d232b, #6b3a16, #d9601a, #ffd9b8" : "#f3ede6, #f7b27a, #d9541a, #5c1a04";
    fill(this.told, h("span", { class: "scale", style: { background: `linear-gradient(90deg, ${colours})` } }), `  1 to ${f.count(most)} requests a cell of ${f.clock(this.answer.step_s)} (logarithmic)  ·  `,
      h("b", {}, "——"), " p99   ", h("b", {}, "·····"), " p50");
  }

  /** Where a latency stands on the axis, in rows from the lowest edge. */
  placeOf(ms) {
    const edges = this.answer.edges_ms;
    return (Math.log(ms / edges[0]) / Math.log(edges.at(-1) / edges[0])) * this.rows;
  }

  latencyTicks() {
    const edges = this.answer.edges_ms;
    const ticks = [];
    for (let power = -3; power <= 7; power++)
      for (const step of [1, 2, 5]) {
        const ms = step * 10 ** power;
        if (ms >= edges[0] && ms <= edges.at(-1)) ticks.push([this.placeOf(ms), ms >= 1000 ? `${ms / 1000} s` : ms >= 1 ? `${ms} ms` : `${Math.round(ms * 1000)} µs`]);
      }
    return ticks;
  }

  /** The bucket and the row under a point; without a height, the slowest row of the bucket. */
  cellAt(at, y) {
    const { answer } = this;
    const bucket = answer.t_s.findIndex((from) => at >= from && at < from + answer.step_s);
    if (bucket < 0 || !this.rows) return null;
    const height = HEIGHT - MARGIN.t - MARGIN.b;
    const row = y === null ? answer.counts.findLastIndex((one) => one[bucket] > 0) : Math.floor((1 - (y - MARGIN.t) / height) * this.rows);
    return row >= 0 && row < this.rows ? { bucket, row } : null;
  }

  read(at, event) {
    if (!this.answer) return;
    if (at === null) {
      tell(null);
      return this.rows && this.tellLegend(Math.max(...this.answer.counts.flat()));
    }
    const y = event ? event.clientY - this.box.element.getBoundingClientRect().top : null;
    const found = this.cellAt(at, y);
    const { answer, run } = this;
    const bucket = found?.bucket ?? answer.t_s.findIndex((from) => at >= from && at < from + answer.step_s);
    if (bucket < 0) return;
    fill(this.told, h("b", {}, f.timeOfDay(run.head.started_ms + answer.t_s[bucket] * 1000)), `  ${f.clock(answer.t_s[bucket])}  ·  `,
      LINES.map(([key, name]) => `${name} ${f.ms(answer[key][bucket])}`).join("  ·  "));
    if (event) tell(found ? event : null, ...(found ? [`${f.count(answer.counts[found.row][bucket])} requests, ${this.rowText(found.row)}`] : []));
  }

  rowText(row) {
    return `${f.ms(this.answer.edges_ms[row])} to ${f.ms(this.answer.edges_ms[row + 1])}`;
  }

  click(at, y) {
    const found = this.cellAt(at, y);
    if (found && this.answer.counts[found.row][found.bucket]) set({ cell: `${this.answer.t_s[found.bucket]}:${found.row + this.answer.first_row}`, zoom: "" });
  }

  get chosen() {
    const match = /^(-?[\d.]+):(-?\d+)$/.exec(this.values.cell ?? "");
    if (!match || !this.answer) return null;
    const [at, row] = [Number(match[1]), Number(match[2]) - this.answer.first_row];
    return row >= 0 && row < this.rows ? { at, row, to: at + this.answer.step_s } : null;
  }

  chosenCell() {
    const one = this.chosen;
    return one ? [{ type: "rect", xref: "x", yref: "y", x0: one.at, x1: one.to, y0: one.row, y1: one.row + 1, line: { color: token("--ink"), width: 2 } }] : [];
  }

  async showCell() {
    const one = this.chosen;
    this.cell.hidden = !one;
    if (!one) return;
    const { id, head } = this.run;
    const title = `${f.timeOfDay(head.started_ms + one.at * 1000)}, ${f.clock(one.at)} into the run: ${this.rowText(one.row)}`;
    fill(this.cellTitle, title);
    const then = { run: id, from: one.at, to: one.to, text: "this moment" };
    const whole = { run: id, from: head.stages[0]?.from_s ?? head.first_s, to: Math.max(head.last_s, one.to), text: "the whole run" };
    const isAgainst = this.values.against === "run";
    const chips = [h("span", { class: "range" }, f.span(one.at, one.to)),
      segments("Show", [["", "This moment"], ["run", "Against the whole run"]], isAgainst ? "run" : "", (against) => set({ against, zoom: "" }))];
    const [found] = await Promise.all([ask(runPath(id, "requests"), { from: one.at, to: one.to, endpoint: this.values.endpoint, row: one.row + this.answer.first_row }),
      isAgainst ? this.flame.show(whole, then, this.values, chips) : this.flame.show(then, null, this.values, chips)]);
    if (this.chosen?.at === one.at && this.chosen.row === one.row) this.drawRequests(found);
  }

  drawRequests({ count, rows }) {
    const head = [["ended at", "n"], ["endpoint"], ["latency", "n"], ["sent late by", "n"], ["status", "n"], ["error"], ["stage"]];
    fill(this.requests, rows.length ? h("div", { class: "scroll", style: { "max-height": "230px" } }, h("table", { class: "grid", "aria-label": "Requests" },
      h("thead", {}, h("tr", {}, head.map(([text, kind]) => h("th", { class: kind ?? "", scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("td", { class: "n" }, `${row.t_s.toFixed(3)} s`), h("td", {}, row.endpoint), h("td", { class: "n" }, h("b", {}, f.ms(row.latency_ms))),
        h("td", { class: "n dim" }, f.ms(row.lag_ms)), h("td", { class: "n" }, row.status || "none"), h("td", { class: row.error ? "up" : "" }, row.error ?? ""), h("td", { class: "dim" }, row.stage)))))) : h("p", { class: "note" }, isSaved ? "This file keeps the slowest requests of the run, and none of these is among them." : "The requests themselves are no longer in the store."),
    count > rows.length && h("p", { class: "note" }, `the slowest ${f.count(rows.length)} of ${f.count(count)}`));
  }

  drawTable() {
    const { endpoints } = this.answer;
    const shown = (one, key) => [one.censored.includes(key) && h("span", { class: "up", title: "a lower bound" }, "> "), f.ms(one[key])];
    if (!endpoints.length) return fill(this.table, h("p", { class: "note" }, "No request ended in this run yet."));
    fill(this.table, h("table", { class: "grid", "aria-label": "Percentiles" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "endpoint"), ["answered", "failed", "not answered", ...QUANTILES.map(([, name]) => name), "longest"].map((name) => h("th", { class: "n", scope: "col" }, name)))),
      h("tbody", {}, endpoints.map((one) => h("tr", { class: "pick", tabindex: 0, "data-endpoint": one.endpoint, "aria-selected": String(this.values.endpoint === one.endpoint),
        onclick: () => set({ endpoint: one.endpoint, cell: "" }), onkeydown: (event) => event.key === "Enter" && set({ endpoint: one.endpoint, cell: "" }) },
      h("td", {}, h("b", {}, one.endpoint)), h("td", { class: "n" }, f.count(one.completed)), h("td", { class: `n ${one.failed ? "up" : "dim"}` }, f.count(one.failed)), h("td", { class: `n ${one.unanswered ? "up" : "dim"}` }, f.count(one.unanswered)),
      QUANTILES.map(([key]) => h("td", { class: "n" }, shown(one, key))), h("td", { class: "n dim" }, f.ms(one.max_ms)))))));
  }
}
