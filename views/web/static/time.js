// A run over time: load and latency above, hot functions below on the same axis, and the flame graph of what is selected.

import { TimeBox } from "./axis.js";
import { axis, draw, faint, timeTicks } from "./charts.js";
import { functionColour, inkFor, token } from "./colours.js";
import { fill, h, segments } from "./dom.js";
import { FlamePanel } from "./flame.js";
import * as f from "./format.js";
import { ask, runPath } from "./source.js";
import { range, rangeText, set } from "./state.js";

const HEIGHT = 520;
const MARGIN = { l: 58, r: 12, t: 22, b: 42 };
const ROWS = { tps: [0.755, 1], latency: [0.515, 0.7], hot: [0.055, 0.46], trust: [0, 0.022] };
const TRUST = ["no profile", "partly profiled", "generator-limited", "host-limited", "late", "incomplete"];
const PER = {
  second: ["CPU per second", "cores", "CPU per second"],
  request: ["CPU per request", "µs/request", "CPU per request"],
  share: ["Share of CPU", "% of the service's CPU", "Share"],
};

/** The view of one run; `run` holds what the page knows of it (see main.js). */
export class TimeView {
  constructor(run) {
    this.run = run;
    this.box = new TimeBox({
      height: HEIGHT, left: MARGIN.l, right: MARGIN.r, times: () => this.axis,
      label: "Load, latency and hot functions over time: arrow keys read, Shift and arrow keys select",
      onRead: (at) => this.read(at),
      onSelect: (which, ends) => set({ [which]: rangeText(ends), zoom: "" }),
      onClick: null,
    });
    this.keys = h("aside", { class: "keys", "aria-label": "Values" });
    this.per = h("span");
    this.flame = new FlamePanel();
    this.element = [
      h("section", { class: "card", "aria-label": "Over time" },
        h("header", {}, h("h2", {}, "Load and hot functions"),
          h("span", { class: "note" }, "drag to select a range, Shift-drag a second one to compare"), h("span", { class: "spread" }), this.per),
        h("div", { class: "timeline" }, this.box.element, this.keys)),
      this.flame.element,
    ];
    this.axis = { from: 0, to: 1, step: 1 };
    new ResizeObserver(() => this.draw()).observe(this.box.element);
  }

  async refresh() {
    const { id } = this.run;
    [this.series, this.hot] = await Promise.all([ask(runPath(id, "series")), ask(runPath(id, "hot"))]);
    this.run.colour(this.hot.functions);
    this.axis = axisOf(this.run.head, this.series);
    await this.update(this.run.values);
  }

  /** Its findings are marks. */
  async onReport() {
    await this.draw();
  }

  async update(values) {
    this.values = values;
    if (!this.series) return;
    const isSame = this.drawn === values.per && this.drawnOf === this.series;
    fill(this.per, segments("Show", Object.entries(PER).map(([value, [, , text]]) => [value, text]), values.per ?? "second",
      (per) => set({ per: per === "second" ? "" : per })));
    this.box.paint("a", range(values.a));
    this.box.paint("b", range(values.b));
    if (!isSame) await this.draw();
    this.box.reread();
    await this.drawFlame();
  }

  drawFlame() {
    const { head } = this.run;
    const a = range(this.values.a);
    const b = range(this.values.b);
    const whole = { run: head.id, from: this.axis.from, to: this.axis.to, text: "the whole run", live: head.state === "live" };
    const asked = (ends) => ends && { run: head.id, from: ends[0], to: ends[1], text: f.span(...ends), live: false };
    const chip = (which, ends, note) => ends && h("span", { class: `range ${which}` }, `${which.toUpperCase()} ${f.span(...ends)}`,
      h("button", { type: "button", "aria-label": `Clear range ${which.toUpperCase()}`, onclick: () => set({ [which]: "", zoom: "" }) }, "×"), note);
    const chips = [chip("a", a), b && h("span", { class: "note" }, "against"), chip("b", b), !a && h("span", { class: "note" }, b ? "the whole run is A" : "the whole run")];
    return this.flame.show(asked(a) ?? whole, asked(b), this.values, chips);
  }

  async draw() {
    if (!this.series) return;
    this.drawn = this.values?.per;
    this.drawnOf = this.series;
    const traces = [...this.loadTraces(), ...this.latencyTraces(), ...this.hotTraces()];
    const { from, to } = this.axis;
    const x = { ...axis("time since the start of the run"), ...timeTicks(from, to, this.box.width), anchor: "free", position: 0, showgrid: true, domain: [0, 1] };
    await draw(this.box.plot, traces, {
      margin: MARGIN,
      xaxis: x,
      yaxis: axis("requests/s", { domain: ROWS.tps, rangemode: "tozero", nticks: 5 }),
      yaxis2: axis("latency, ms", { domain: ROWS.latency, type: "log", nticks: 4, dtick: 1 }),
      yaxis3: axis(PER[this.values?.per ?? "second"][1], { domain: ROWS.hot, rangemode: "tozero", nticks: 6 }),
      yaxis4: axis("", { domain: ROWS.trust, showticklabels: false, showgrid: false, range: [0, 1], ticks: "" }),
      shapes: [...this.bands(), ...this.trustShapes()],
      annotations: [...this.stageLabels(), ...this.marks()],
    });
    this.box.repaint(MARGIN.t, MARGIN.b);
  }

  get mid() {
    const half = this.series.step_s / 2;
    return this.series.t_s.map((at) => at + half);
  }

  loadTraces() {
    const { series } = this;
    const line = (y, colour, more = {}) => ({ x: this.mid, y, type: "scatter", mode: "lines", xaxis: "x", yaxis: "y", line: { color: colour, width: 1.5, ...more } });
    const bad = series.bad_tps.map((value) => value || null);
    return [
      { x: this.mid, y: bad, type: "bar", xaxis: "x", yaxis: "y", width: series.step_s, marker: { color: token("--bad"), line: { width: 0 } } },
      { x: this.mid, y: bad, type: "scatter", mode: "markers", xaxis: "x", yaxis: "y", marker: { color: token("--bad"), size: 4, symbol: "square" } },
      ...(this.run.head.observed ? [] : [line(series.offered_tps, token("--ink-3"), { dash: "dot" })]),
      line(series.achieved_tps, token("--accent"), { width: 2 }),
    ];
  }

  latencyTraces() {
    const { series, mid } = this;
    const line = (y, colour, width) => ({ x: mid, y, type: "scatter", mode: "lines", xaxis: "x", yaxis: "y2", line: { color: colour, width } });
    const bounds = series.p99_bound;
    return [
      line(series.p50_ms, token("--ink-3"), 1.2),
      line(series.p99_ms, token("--ink"), 1.6),
      { x: bounds.map((place) => mid[place]), y: bounds.map((place) => series.p99_ms[place]), type: "scatter", mode: "markers", xaxis: "x", yaxis: "y2",
        marker: { symbol: "triangle-up-open", size: 8, color: token("--bad"), line: { width: 1.5 } } },
    ];
  }

  /** A function's value at a bucket, in the unit that is chosen; null where nobody looked. */
  value(us, place) {
    const { series } = this;
    if (series.watched_s[place] <= 0) return null;
    const per = this.values?.per ?? "second";
    if (per === "request") return series.watched_requests[place] ? us / series.watched_requests[place] : null;
    if (per === "share") return series.cpu_us[place] ? (100 * us) / series.cpu_us[place] : null;
    return us / 1e6 / series.watched_s[place];
  }

  /** Everything that the service's CPU is given to: the hot ones, the rest, and what no sample could place. */
  get layers() {
    const layers = this.hot.functions.map((one) => ({ label: one.label, colour: functionColour(one.label), us: one.self_us }));
    const colour = token("--neutral");
    return [...layers.filter((one) => this.run.isHot(one.label)),
      { label: "all others", colour, us: this.hot.others_us.map((us, place) => us + layers.filter((one) => !this.run.isHot(one.label)).reduce((sum, one) => sum + one.us[place], 0)) },
      { label: "unattributed", colour: faint(token("--ink-3"), 0.5), us: this.series.unattributed_us }];
  }

  hotTraces() {
    const isStacked = (this.values?.per ?? "second") !== "request";
    return this.layers.filter((one) => isStacked || one.label !== "all others").map((one) => ({
      x: this.mid, y: one.us.map((us, place) => this.value(us, place)), type: "scatter", mode: "lines", xaxis: "x", yaxis: "y3",
      ...(isStacked ? { stackgroup: "cpu", fillcolor: one.colour, line: { width: 0, color: one.colour } } : { line: { width: 1.8, color: one.colour } }),
    }));
  }

  bands() {
    return this.run.head.stages.filter((_, place) => place % 2 === 0).map((stage) => ({
      type: "rect", xref: "x", yref: "paper", x0: stage.from_s, x1: stage.to_s, y0: ROWS.trust[1], y1: 1, layer: "below", line: { width: 0 }, fillcolor: token("--band"),
    }));
  }

  stageLabels() {
    const perSecond = this.box.width / (this.axis.to - this.axis.from);
    return this.run.head.stages.flatMap((stage) => {
      const wide = (stage.to_s - stage.from_s) * perSecond;
      const rates = stage.from_tps === stage.to_tps ? f.rate(stage.from_tps) : `${f.rate(stage.from_tps)}→${f.rate(stage.to_tps)}`;
      const name = stage.form === "level" ? rates : `${stage.stage} ${rates}`;
      const text = wide >= name.length * 6.2 ? name : wide >= rates.length * 6.2 ? rates : "";
      return text ? [{ x: (stage.from_s + stage.to_s) / 2, y: 1, xref: "x", yref: "paper", yanchor: "bottom", showarrow: false, text: escaped(text), font: { size: 10.5, color: token("--ink-3") } }] : [];
    });
  }

  /** Findings about a function stand where it took most of the CPU. */
  marks() {
    return (this.run.report?.findings ?? []).flatMap((finding) => {
      const one = this.hot.functions.find((candidate) => candidate.label === finding.function);
      if (!one || finding.kind === "hot") return [];
      const values = one.self_us.map((us, place) => this.value(us, place) ?? -1);
      const place = values.indexOf(Math.max(...values));
      return [{ x: this.mid[place], y: ROWS.hot[1], xref: "x", yref: "paper", yanchor: "bottom", showarrow: false, bgcolor: functionColour(one.label),
        borderpad: 2, text: escaped(`▲ ${f.brief(one.label)}`), font: { size: 10.5, color: inkFor(functionColour(one.label)) } }];
    });
  }

  trustShapes() {
    const { series } = this;
    return Object.entries(series.trust).map(([place, names]) => ({
      type: "rect", xref: "x", yref: "y4", x0: series.t_s[place], x1: series.t_s[place] + series.step_s, y0: 0, y1: 1, line: { width: 0 },
      fillcolor: names.includes("no profile") ? token("--ink-3") : names.some((name) => name.endsWith("limited")) ? "#e0a100" : "#b9a36a",
    }));
  }

  /** The values at a time, or the means of what is selected, or of the run. */
  read(at) {
    if (!this.series) return;
    const { series, run } = this;
    const a = range(this.values?.a);
    const inside = (time) => time >= (a ? a[0] : this.axis.from) - 1e-6 && time < (a ? a[1] : this.axis.to) - 1e-6;
    const places = at === null
      ? series.t_s.flatMap((time, place) => (inside(time) ? [place] : []))
      : series.t_s.flatMap((time, place) => (at >= time && at < time + series.step_s ? [place] : []));
    const mean = (column) => {
      const known = places.map((place) => column[place]).filter(f.known);
      return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
    };
    const most = (column) => (places.length ? Math.max(...places.map((place) => column[place] ?? -1)) : null);
    const sum = (column) => places.reduce((total, place) => total + column[place], 0);
    const per = this.values?.per ?? "second";
    const ofLayer = (us) => {
      const [watched, requests, cpu] = [sum(series.watched_s), sum(series.watched_requests), sum(series.cpu_us)];
      if (!watched) return null;
      const spent = sum(us);
      return per === "request" ? (requests ? spent / requests : null) : per === "share" ? (cpu ? (100 * spent) / cpu : null) : spent / 1e6 / watched;
    };
    const shown = { second: (value) => `${f.cores(value)}`, request: (value) => (f.known(value) ? f.micros(value) : "–"), share: (value) => f.percent(f.known(value) ? value / 100 : null) }[per];
    const row = (colour, kind, text, value, label) => h("tr", { "data-label": label, title: label, onclick: label && (() => run.open(label)) },
      h("td", {}, h("i", { class: `swatch ${kind}`, style: kind === "dash" ? { "border-color": colour } : { background: colour } })), h("td", {}, text), h("td", {}, value));
    const isPoint = at !== null && places.length;
    const stage = isPoint && run.head.stages.find((one) => at >= one.from_s && at < one.to_s);
    const when = isPoint
      ? [f.timeOfDay(run.head.started_ms + series.t_s[places[0]] * 1000), h("span", { class: "note" }, `  ${f.clock(series.t_s[places[0]])}${stage ? ` · ${stage.label}` : ""}`)]
      : [a ? `A ${f.span(...a)}` : "Whole run", h("span", { class: "note" }, "  means")];
    const flags = isPoint ? series.trust[places[0]] ?? [] : [];
    const isBound = isPoint && series.p99_bound.includes(places[0]);
    const counts = !isPoint && TRUST.map((name) => [name, places.filter((place) => series.trust[place]?.includes(name)).length]).filter(([, number]) => number);
    const trust = isPoint ? flags.join(", ") : counts.map(([name, number]) => `${number} × ${name}`).join(", ");
    fill(this.keys,
      h("div", { class: "readout" }, when),
      h("div", { class: "trustnote", title: "Figures of such windows are left out of findings, or to be taken with care: see Health" }, trust ? `▮ ${trust}` : ""),
      h("h3", {}, "requests/s"),
      h("table", {}, !run.head.observed && row(token("--ink-3"), "dash", "offered", f.rate(mean(series.offered_tps))), row(token("--accent"), "line", "achieved", f.rate(mean(series.achieved_tps))),
        row(token("--bad"), "", "failed or dropped", f.rate(mean(series.bad_tps)))),
      h("h3", {}, "latency"),
      h("table", {}, row(token("--ink-3"), "line", "p50", f.ms(mean(series.p50_ms))), row(token("--ink"), "line", isPoint ? "p99" : "p99, worst window", `${isBound ? "> " : ""}${f.ms(isPoint ? series.p99_ms[places[0]] : positive(most(series.p99_ms)))}`)),
      h("h3", {}, h("span", {}, PER[per][0]), h("span", {}, PER[per][1])),
      h("table", { "aria-label": PER[per][0] }, this.layers.map((one) => row(one.colour, "", f.brief(one.label), shown(ofLayer(one.us)), one.label.includes("(") ? one.label : undefined))),
      Object.keys(series.trust).length > 0 && h("p", { class: "note" }, h("i", { class: "swatch", style: { background: "#e0a100" } }), " limited by generator or host"),
      series.p99_bound.length > 0 && h("p", { class: "note" }, h("span", { class: "up" }, "△"), " p99 is a lower bound"));
  }
}

const positive = (value) => (value !== null && value >= 0 ? value : null);
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** The ends of a run's axis: its stages, or all that there is of it. */
export function axisOf(head, series) {
  const step = series.step_s;
  const first = series.t_s[0] ?? 0;
  const last = (series.t_s.at(-1) ?? 0) + step;
  const stages = head.stages;
  if (!stages.length) return { from: first, to: Math.max(last, first + step), step };
  const from = Math.min(...stages.map((one) => one.from_s));
  const end = Math.max(...stages.map((one) => one.to_s));
  // As far as it has come, while it is on; a run's last requests may end a little after its last stage.
  const to = head.state === "live" ? Math.min(end, Math.max(last, from + 10 * step)) : Math.min(end, Math.max(last, from + step));
  const aligned = first + Math.floor((from - first) / step + 1e-9) * step;
  return { from: aligned, to: aligned + Math.ceil((to - aligned) / step - 1e-9) * step, step };
}
