// Two runs, or a range of each, side by side: figures, functions and the differential flame graph per request.

import { assign } from "./colours.js";
import { fill, h } from "./dom.js";
import { FlamePanel } from "./flame.js";
import * as f from "./format.js";
import { chip, told } from "./runs.js";
import { ask, runPath } from "./source.js";
import { address, range, rangeText, set } from "./state.js";

export class CompareView {
  constructor() {
    this.pick = h("div", { class: "summary", style: { "grid-template-columns": "auto 1fr" } });
    this.table = h("div", { class: "body" });
    this.flame = new FlamePanel({ title: "Differential flame graph" });
    this.element = [
      h("section", { class: "card", "aria-label": "Runs compared" }, h("header", {}, h("h2", {}, "Runs compared"), h("span", { class: "note" }, "A is the base; costs are CPU per request, so rates may differ")), this.pick, this.table),
      this.flame.element,
    ];
  }

  get isLive() {
    return false;
  }

  async refresh(values) {
    this.runs = (await ask("runs")).runs;
    await this.update(values);
  }

  async update(values) {
    if (!this.runs) return;
    const sides = ["a", "b"].map((which) => sideOf(values[which] ?? ""));
    fill(this.pick, ["a", "b"].map((which, place) => [h("span", { class: `range ${which}` }, which.toUpperCase(), " "), this.chooser(which, sides[place])]));
    if (!sides.every((side) => side.run)) {
      this.flame.element.hidden = true;
      return fill(this.table, h("p", { class: "note" }, "Choose two runs."));
    }
    try {
      const [heads, series, hot] = await Promise.all([Promise.all(sides.map(({ run }) => ask(runPath(run)))), Promise.all(sides.map(({ run, ends }) => ask(runPath(run, "series"), { from: ends?.[0], to: ends?.[1] }))), ask(runPath(sides[1].run, "hot"))]);
      assign(hot.functions.map((one) => one.label));
      this.drawTable(heads, series, sides);
      this.flame.element.hidden = false;
      const asked = sides.map(({ run, ends }, place) => {
        const stages = heads[place].stages;
        return { run, from: ends?.[0] ?? stages[0]?.from_s, to: ends?.[1] ?? (stages.length ? Math.max(...stages.map((one) => one.to_s)) : undefined), text: ends ? f.span(...ends) : "the whole run", live: heads[place].state === "live" };
      });
      await this.flame.show(asked[0], asked[1], values, []);
    } catch (error) {
      fill(this.table, h("p", { class: "up", role: "alert" }, error.message));
    }
  }

  chooser(which, { run, ends }) {
    const choose = (changed, text) => set({ [which]: [changed, text].filter(Boolean).join(":"), zoom: "" });
    const select = h("select", { "aria-label": `Run ${which.toUpperCase()}`, onchange: () => choose(select.value, "") }, h("option", { value: "" }, "choose a run"),
      this.runs.map((one) => h("option", { value: one.id, selected: one.id === run }, `${one.service}  ${one.id}  ${told(one)}`)));
    const field = h("input", { type: "search", size: 12, placeholder: "whole run", "aria-label": `Range of ${which.toUpperCase()}, in seconds`, value: rangeText(ends),
      onchange: () => (field.value && !range(field.value) ? field.setCustomValidity("write it as 12-20") : choose(run, field.value)) });
    return h("span", { class: "tools" }, select, h("label", { class: "note" }, "seconds ", field), run && h("a", { class: "note", href: address("time", run, { a: rangeText(ends) }) }, "open"));
  }

  drawTable(heads, series, sides) {
    const figures = series.map(figuresOf);
    const rows = [
      ["verdict", (_, place) => chip(heads[place])],
      ["range", (_, place) => (sides[place].ends ? f.span(...sides[place].ends) : "the whole run")],
      ["answered, requests/s", (one) => f.rate(one.tps), (one) => one.tps],
      ["failed or dropped", (one) => f.percent(one.bad), (one) => one.bad],
      ["p50, median of the windows", (one) => f.ms(one.p50), (one) => one.p50],
      ["p99, median of the windows", (one) => f.ms(one.p99), (one) => one.p99],
      ["CPU per request", (one) => f.micros(one.us), (one) => one.us],
      ["CPU per second, cores", (one) => f.cores(one.cores), (one) => one.cores],
      ["windows to take with care", (one) => `${f.count(one.flagged)} of ${f.count(one.windows)}`],
    ];
    const change = (of) => {
      const [from, to] = figures.map(of);
      if (!f.known(from) || !f.known(to) || !from) return "";
      const share = to / from - 1;
      return f.signed(f.percent(share), share);
    };
    fill(this.table, h("table", { class: "grid", "aria-label": "Figures" }, h("thead", {}, h("tr", {}, ["", "A", "B", "B against A"].map((name, place) => h("th", { class: place ? "n" : "", scope: "col" }, name)))),
      h("tbody", {}, rows.map(([name, show, of]) => h("tr", { "data-row": name }, h("td", {}, name), figures.map((one, place) => h("td", { class: "n" }, show(one, place))), h("td", { class: "n" }, of ? change(of) : ""))))),
    h("p", { class: "note" }, "One run a side cannot show what runs differ by anyway: take a change as a hint, and repeat both before believing it."));
  }
}

/** A run and perhaps a range of it, from `ID:12-20`. */
function sideOf(text) {
  const [run, ends = ""] = text.split(":");
  return { run, ends: range(ends) };
}

function figuresOf(series) {
  const places = series.t_s.flatMap((_, place) => (series.offered_tps[place] > 0 ? [place] : []));
  const sum = (column) => places.reduce((total, place) => total + column[place], 0);
  const median = (column) => {
    const known = places.map((place) => column[place]).filter(f.known).sort((x, y) => x - y);
    return known.length ? known[Math.floor(known.length / 2)] : null;
  };
  const [seconds, requests, watched] = [sum(series.seconds), sum(series.watched_requests), sum(series.watched_s)];
  const offered = places.reduce((total, place) => total + series.offered_tps[place] * series.seconds[place], 0);
  const bad = places.reduce((total, place) => total + series.bad_tps[place] * series.seconds[place], 0);
  return {
    tps: seconds ? places.reduce((total, place) => total + series.achieved_tps[place] * series.seconds[place], 0) / seconds : null,
    bad: offered ? bad / offered : null, p50: median(series.p50_ms), p99: median(series.p99_ms),
    us: requests && watched ? sum(series.cpu_us) / requests : null, cores: watched ? sum(series.cpu_us) / 1e6 / watched : null,
    flagged: places.filter((place) => series.trust[place]).length, windows: places.length,
  };
}

