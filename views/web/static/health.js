// How far a run can be relied upon: what was delivered, what was watched, what was late.

import { TimeBox } from "./axis.js";
import { axis, draw, timeTicks } from "./charts.js";
import { token } from "./colours.js";
import { fill, h } from "./dom.js";
import * as f from "./format.js";
import { ask, runPath } from "./source.js";
import { axisOf } from "./time.js";

const HEIGHT = 330;
const MARGIN = { l: 66, r: 12, t: 10, b: 42 };
const LAG_LIMIT_MS = 10;
const WHY = {
  "no profile": "nobody watched the service: CPU is unknown, not zero",
  "partly profiled": "a sampler saw less than 97% of the time",
  "generator-limited": "the load generator was late, or its core was full: latency may be its own; findings leave it out",
  "host-limited": "the service waited for cores that loadflame was using; findings leave it out",
  late: "joined again after a batch that came late: complete now",
  incomplete: "closed before every producer's last batch was in",
};
const CHECKS = { I0: "the target counted what was sent", I1: "what was acknowledged is stored", I2: "what is derived can be computed again", I3: "every arrival is accounted for", I4: "nothing is committed that is not stored" };

export class HealthView {
  constructor(run) {
    this.run = run;
    this.axis = { from: 0, to: 1, step: 1 };
    this.box = new TimeBox({ height: HEIGHT, left: MARGIN.l, right: MARGIN.r, times: () => this.axis, label: "Coverage, samples and send lag over time", onRead: (at) => this.read(at), onSelect: null });
    this.box.element.style.cursor = "default";
    this.told = h("div", { class: "told body", role: "status" });
    this.accounting = h("div", { class: "body" });
    this.checks = h("div", { class: "body" });
    this.trust = h("div", { class: "body" });
    this.more = h("div", { class: "three" });
    const card = (title, note, body) => h("section", { class: "card", "aria-label": title }, h("header", {}, h("h2", {}, title), h("span", { class: "note" }, note)), body);
    this.element = [
      h("div", { class: "three" }, card("Accounting", "where every arrival went", this.accounting), card("Delivery", "checked when the run was over", this.checks), card("What to take with care", "windows of the run", this.trust)),
      h("section", { class: "card", "aria-label": "Completeness" }, h("header", {}, h("h2", {}, "Completeness over time"), h("span", { class: "note" }, "what was watched, and how late the generator sent")), this.box.element, this.told),
      this.more,
    ];
    new ResizeObserver(() => this.draw()).observe(this.box.element);
  }

  async refresh() {
    const { id } = this.run;
    const health = ask(runPath(id, "health")); // waits for the report, which takes longer than all else
    health.catch(() => {}); // told below
    this.series = await ask(runPath(id, "series"));
    this.axis = axisOf(this.run.head, this.series);
    this.drawTrust();
    await this.draw();
    this.health = await health;
    await this.update();
  }

  async update() {
    if (!this.health) return;
    this.drawAccounting();
    this.drawTrust();
    this.drawMore();
    await this.draw();
  }

  drawAccounting() {
    const { accounting: told, checks } = this.health;
    const row = (name, value, kind = "") => h("tr", {}, h("td", {}, name), h("td", { class: `n ${kind}` }, f.count(value)));
    const bad = (value) => (value ? "up" : "dim");
    const ended = told.completed + told.failed;
    const isClosed = told.scheduled === ended + told.dropped + told.in_flight_at_end;
    fill(this.accounting, h("table", { class: "grid", "aria-label": "Accounting" }, h("tbody", {},
      row(this.run.head.observed ? "seen to end" : "scheduled", told.scheduled), row("answered as asked", told.completed), row("failed", told.failed, bad(told.failed)), row("dropped: too many in flight", told.dropped, bad(told.dropped)),
      row("under way at the end", told.in_flight_at_end, bad(told.in_flight_at_end)), row("stored", told.stored, told.stored === ended ? "" : "up"), row("lost", told.lost, bad(told.lost)),
      told.target_counted !== null && row("counted by the service", told.target_counted, told.target_counted === told.sent ? "" : "up"),
      row("joined windows", told.windows), row("of them without a profile", told.windows_without_profile, bad(told.windows_without_profile)),
      row("joined again after a late batch", told.late, bad(told.late)), row("dead letters", told.dead_letters, bad(told.dead_letters)))),
    h("p", { class: "note" }, h("span", { class: isClosed ? "down" : "up" }, isClosed ? "✔ the sums close" : "✘ the sums do not close")));
    fill(this.checks, checks.length ? h("table", { class: "grid", "aria-label": "Checks" }, h("tbody", {}, checks.map((one) => h("tr", { "data-check": one.name },
      h("td", {}, h("span", { class: one.ok === null ? "dim" : one.ok ? "down" : "up" }, one.ok === null ? "–" : one.ok ? "✔" : "✘"), ` ${one.name}`),
      h("td", { class: "wrap" }, h("b", {}, CHECKS[one.name] ?? ""), h("br"), h("span", { class: "dim" }, one.sentence)))))) : h("p", { class: "note" }, "Not checked yet; loadflame verify does it at any time."),
    );
  }

  drawTrust() {
    const { series } = this;
    const groups = Object.keys(WHY).map((name) => [name, series.t_s.flatMap((at, place) => (series.trust[place]?.includes(name) && at >= this.axis.from - 1e-6 && at < this.axis.to - 1e-6 ? [place] : []))]).filter(([, places]) => places.length);
    const bounds = series.p99_bound.length;
    if (!groups.length && !bounds) return fill(this.trust, h("p", {}, h("span", { class: "down" }, "✔ "), "Every window was watched, complete and within its limits."));
    fill(this.trust, h("table", { class: "grid", "aria-label": "What to take with care" }, h("tbody", {}, groups.map(([name, places]) => h("tr", { "data-trust": name },
      h("td", { class: "n" }, h("b", {}, f.count(places.length))), h("td", { class: "wrap" }, h("b", {}, name), ` `, h("span", { class: "dim" }, WHY[name]), h("br"), h("span", {}, runsOf(places, series))))),
    bounds > 0 && h("tr", {}, h("td", { class: "n" }, h("b", {}, f.count(bounds))), h("td", { class: "wrap" }, h("b", {}, "p99 is a lower bound "), h("span", { class: "dim" }, "over 1% of the requests were dropped or not answered"))))));
  }

  drawMore() {
    const { producers, letters, warnings, trust_lines } = this.health;
    const card = (title, body) => h("section", { class: "card", "aria-label": title }, h("header", {}, h("h2", {}, title)), h("div", { class: "body" }, body));
    fill(this.more,
      card("How it was measured", h("table", { class: "grid" }, h("tbody", {}, trust_lines.map(([name, text]) => h("tr", {}, h("td", {}, name), h("td", { class: "wrap dim" }, text)))))),
      card("Producers", producers.length ? h("table", { class: "grid" }, h("thead", {}, h("tr", {}, ["role", "batches", "rows", "lost", "from disk", "clock moved"].map((name, place) => h("th", { class: place ? "n" : "", scope: "col" }, name)))),
        h("tbody", {}, producers.map((one) => h("tr", { title: one.note }, h("td", {}, one.role, one.died && h("span", { class: "chip bad" }, "died")), h("td", { class: "n" }, f.count(one.batches)), h("td", { class: "n" }, f.count(one.rows)),
          h("td", { class: `n ${one.lost ? "up" : "dim"}` }, f.count(one.lost)), h("td", { class: "n dim" }, f.count(one.spooled)), h("td", { class: "n dim" }, f.ms(one.clock_correction_ms)))))) : h("p", { class: "note" }, "No producer has said its last words yet.")),
      card("Dead letters", letters.length ? h("table", { class: "grid", "aria-label": "Dead letters" }, h("tbody", {}, letters.map((one) => h("tr", {}, h("td", { class: "mono" }, `${one.topic}/${one.partition}/${one.offset}`), h("td", { class: "n" }, f.clock(one.received_s)), h("td", { class: "wrap up" }, one.error)))))
        : h("p", { class: "note" }, "None: every message could be read.")),
      warnings.length > 0 && card("Warnings", h("ul", { class: "findings" }, warnings.map((text) => h("li", {}, h("span", { class: "mark" }, "!"), h("span", {}, text))))));
  }

  async draw() {
    const { series } = this;
    if (!series) return;
    const mid = series.t_s.map((at) => at + series.step_s / 2);
    const line = (y, yaxis, colour, more = {}) => ({ x: mid, y, type: "scatter", mode: "lines", xaxis: "x", yaxis, line: { color: colour, width: 1.6, shape: "hvh" }, ...more });
    const { from, to } = this.axis;
    const ofRun = (values) => values.map((value, place) => (mid[place] > from && mid[place] < to ? value : null)); // not what was before and after the load
    const watched = series.coverage.map((share, place) => (series.watched_s[place] > 0 ? 100 * share : 0));
    await draw(this.box.plot, [
      line(ofRun(watched), "y", token("--accent"), { fill: "tozeroy", fillcolor: "rgba(128,128,128,.12)" }),
      line(ofRun(series.samples.map((number, place) => number / series.seconds[place])), "y2", token("--ink-2")),
      line(ofRun(series.lag_p99_ms.map((value) => (value > 0 ? value : null))), "y3", token("--ink")),
    ], {
      margin: MARGIN,
      xaxis: { ...axis("time since the start of the run"), ...timeTicks(from, to, this.box.width), anchor: "y3" },
      yaxis: axis("watched, %", { domain: [0.72, 1], range: [0, 105], tickvals: [0, 50, 100] }),
      yaxis2: axis("samples/s", { domain: [0.37, 0.64], rangemode: "tozero", nticks: 4 }),
      yaxis3: axis("send lag p99, ms", { domain: [0, 0.29], type: "log", dtick: 1 }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y3", y0: LAG_LIMIT_MS, y1: LAG_LIMIT_MS, line: { color: token("--bad"), width: 1, dash: "dot" } },
        ...Object.entries(series.trust).map(([place, names]) => ({ type: "rect", xref: "x", yref: "paper", x0: series.t_s[place], x1: series.t_s[place] + series.step_s, y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: names.includes("no profile") ? "rgba(128,128,128,.25)" : "rgba(224,161,0,.18)" }))],
      annotations: [{ xref: "paper", x: 1, yref: "y3", y: Math.log10(LAG_LIMIT_MS), xanchor: "right", yanchor: "bottom", showarrow: false, text: "limit: 10 ms and a tenth of the p99 latency", font: { size: 10, color: token("--bad") } }],
    });
    this.box.repaint(MARGIN.t, MARGIN.b);
    this.box.reread();
  }

  read(at) {
    const { series } = this;
    const place = at === null ? -1 : series.t_s.findIndex((from) => at >= from && at < from + series.step_s);
    if (place < 0) return fill(this.told, h("i", { class: "swatch", style: { background: "rgba(224,161,0,.5)" } }), " to be taken with care   ", h("i", { class: "swatch", style: { background: "rgba(128,128,128,.5)" } }), " no profile");
    fill(this.told, h("b", {}, f.timeOfDay(this.run.head.started_ms + series.t_s[place] * 1000)), `  ${f.clock(series.t_s[place])}  ·  watched ${f.percent(series.watched_s[place] > 0 ? series.coverage[place] : 0)}  ·  ${f.count(series.samples[place])} samples  ·  send lag p99 ${f.ms(series.lag_p99_ms[place])}  ·  profiler ${f.percent(series.agent_cpu_us[place] / 1e6 / series.seconds[place])} of a core`,
      series.trust[place] && h("span", { class: "trustnote" }, `  ▮ ${series.trust[place].join(", ")}`));
  }
}

/** Places as stretches of time: 0–3 s, 20–22 s. */
function runsOf(places, series) {
  const stretches = [];
  for (const place of places) {
    const last = stretches.at(-1);
    if (last && last[1] === place - 1) last[1] = place;
    else stretches.push([place, place]);
  }
  const texts = stretches.slice(0, 6).map(([from, to]) => f.span(series.t_s[from], series.t_s[to] + series.step_s));
  return texts.join(", ") + (stretches.length > 6 ? ` and ${stretches.length - 6} more` : "");
}
