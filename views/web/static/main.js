// The page: what stands above every view, and which view is shown.

import { plotly } from "./charts.js";
import { assign, hasColour } from "./colours.js";
import { CompareView } from "./compare.js";
import { fill, h } from "./dom.js";
import * as f from "./format.js";
import { FunctionsView } from "./functions.js";
import { HealthView } from "./health.js";
import { LatencyView } from "./latency.js";
import { chip, RunsView } from "./runs.js";
import { ask, isSaved, runPath } from "./source.js";
import { address, go, onChange, read, VIEWS } from "./state.js";
import { TimeView } from "./time.js";

const KINDS = { time: TimeView, functions: FunctionsView, latency: LatencyView, health: HealthView };
const NAMES = { time: "Time", functions: "Functions", latency: "Latency", health: "Health" };
const MARKS = { superlinear: "▲", indicative: "△", slow: "◔", "process-growth": "△", capacity: "◆", hot: "●", endpoint: "◇", none: "○" };
const LIVE_MS = 1000;
const SLOWEST_MS = 5000;
const SILENT_MS = 15_000;
const KEYS = [["1 – 4", "time, functions, latency, health"], ["g", "list of runs"], ["/", "search"], ["t", "light or dark"],
  ["← →", "on a time axis: read; with Shift: select range A, with Alt and Shift: range B"], ["← ↑ → ↓ Enter", "in the flame graph: move and zoom; Esc shows all"],
  ["Esc", "let go of ranges, leave a field"], ["?", "these words"]];

/** What is known of the run that is looked at. */
class Run {
  constructor(id) {
    Object.assign(this, { id, head: null, report: null, values: {} });
  }

  /** Colours are given once, by what was hottest when the run was opened, and again when it has ended. */
  colour(functions) {
    if (!this.coloured || (this.coloured === "live" && !this.isLive)) {
      assign(functions.map((one) => one.label));
      this.coloured = this.isLive ? (functions.length ? "live" : null) : "done";
    }
  }

  /** For views that do not ask for the hot functions themselves. */
  async ensureColours() {
    if (!this.coloured) this.colour((await ask(runPath(this.id, "hot"))).functions);
  }

  get isLive() {
    return this.head.state === "live";
  }

  /** The head, with the verdict as the report has it once that is made. */
  get told() {
    return { ...this.head, verdict: this.report?.run.verdict ?? this.head.verdict };
  }

  /** What is to be said instead of a report: how long it is being made, or why there is none. */
  get waiting() {
    if (this.trouble) return `No report: ${this.trouble}`;
    const seconds = this.asking ? Math.floor((performance.now() - this.asking) / 1000) : 0;
    return `Making the report …${seconds > 1 ? ` ${f.clock(seconds)}` : ""}`;
  }

  isHot(label) {
    return hasColour(label);
  }

  open(label) {
    go("functions", this.id, { fn: label });
  }

  async refreshHead() {
    this.head = await ask(runPath(this.id));
  }
}

class Page {
  constructor() {
    this.top = h("header", { class: "top" });
    this.main = h("main", { id: "main" });
    this.summary = h("section", { class: "card", "aria-label": "Summary" });
    fill(document.getElementById("page"), this.top, this.main);
    this.help = document.body.appendChild(h("dialog", { "aria-label": "Keyboard" }, h("h2", {}, "Keyboard"),
      h("table", {}, KEYS.map(([key, text]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, text))))));
    this.help.addEventListener("click", () => this.help.close());
    addEventListener("hashchange", () => this.open());
    addEventListener("keydown", (event) => this.key(event));
    onChange(() => this.changed());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.theme());
    this.theme();
    this.open();
  }

  theme() {
    const kept = remembered();
    const isDark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    this.view?.draw?.();
    if (this.view) this.changed(true);
  }

  switchTheme() {
    remember(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    this.theme();
  }

  async open() {
    const { page, run, values } = read();
    clearTimeout(this.timer);
    if (isSaved && !run) {
      history.replaceState(null, "", address("time", (await ask("runs/saved")).id, values));
      return this.open();
    }
    const isSame = this.page === page && this.run?.id === (run ?? undefined);
    if (isSame && this.view) return this.changed();
    const opening = (this.opening = {});
    this.view = null;
    this.page = page;
    document.title = run ? `${run} · loadflame` : "loadflame";
    try {
      if (run && this.run?.id !== run) this.run = new Run(run);
      if (!run) this.run = null;
      if (this.run) this.run.values = values;
      if (run) plotly().catch(() => {}); // whoever draws hears of it
      if (run && !this.run.head) {
        fill(this.main, h("p", { class: "pending" }, "Reading the run …"));
        this.drawTop();
        await this.run.refreshHead();
        if (this.opening !== opening) return; // something else was opened meanwhile, perhaps no run
        if (this.run.id !== this.run.head.id) return go(page, this.run.head.id, values); // `last`
      }
      if (read().page !== page || (read().run ?? undefined) !== this.run?.id) return;
      this.view = page === "runs" ? new RunsView() : page === "compare" ? new CompareView() : new KINDS[page](this.run);
      this.drawTop();
      const isEmpty = this.run && this.run.head.first_s === null;
      fill(this.main, this.run ? this.summary : [], isEmpty ? this.nothing() : this.view.element);
      if (this.run) this.drawSummary();
      await this.refresh();
    } catch (error) {
      if (this.opening !== opening) return;
      this.drawTop();
      fill(this.main, h("section", { class: "card error", role: "alert" }, error.message));
    }
  }

  nothing() {
    return h("section", { class: "card" }, h("div", { class: "empty" }, h("h2", {}, `Nothing is stored of this run${this.run.isLive ? " yet" : ""}`),
      h("p", {}, this.run.isLive ? "Its first window appears here about two seconds after the load has begun." : this.run.head.state === "ended" ? "It ended before its first window was over." : "Nobody said its end, and nothing more was heard of it.")));
  }

  /** Ask again for what the view shows; while something may change, once a second or as often as the store can. */
  async refresh() {
    const { view, run } = this;
    const began = performance.now();
    try {
      const wasEmpty = run?.head.first_s === null;
      const before = run?.head.state;
      if (run && before !== "ended" && this.asked) {
        await run.refreshHead();
        if (run.head.state !== before && this.view === view) {
          run.report = run.reportAt = null;
          this.drawTop();
          this.drawSummary();
        }
      }
      this.asked = true;
      if (this.view !== view) return;
      if (run && wasEmpty && run.head.first_s !== null) fill(this.main, this.summary, view.element);
      if (run) this.askReport(run);
      if (!run || run.head.first_s !== null) await view.refresh(read().values);
      if (this.view !== view) return; // what was asked for is shown no more, and the next one is not there yet
      this.failed?.remove();
      this.main.dataset.ready = String(Number(this.main.dataset.ready ?? 0) + 1);
    } catch (error) {
      this.failed?.remove();
      this.failed = h("section", { class: "card error", role: "alert" }, error.message);
      this.main.prepend(this.failed);
    }
    if (this.view !== view || isSaved || !(run ? run.head.state !== "ended" : view.isLive)) return;
    const least = run && !run.isLive ? SILENT_MS : Math.min(SLOWEST_MS, Math.max(LIVE_MS, 2 * (performance.now() - began)));
    this.timer = setTimeout(() => (document.hidden ? this.waitForEyes() : this.refresh()), least);
  }

  waitForEyes() {
    document.addEventListener("visibilitychange", () => this.refresh(), { once: true });
  }

  /** The report is dear: asked once for a run that has ended, and a few times a minute before. */
  async askReport(run) {
    const isLong = !run.reportAt || performance.now() - run.reportAt > 15_000;
    const isDue = isLong && (!run.report || run.wasLive);
    if (!isDue || run.asking || run.head.first_s === null) return;
    run.asking = performance.now();
    run.wasLive = run.isLive;
    const telling = setInterval(() => this.run === run && !run.report && this.drawSummary(), 1000); // of a day it takes some seconds
    try {
      run.report = await ask(runPath(run.id, "report"));
      run.reportAt = performance.now();
      if (this.run !== run) return;
      this.drawTop();
      this.drawSummary();
      this.view?.onReport?.();
    } catch (error) {
      run.reportAt = performance.now();
      run.trouble = error.message;
      if (this.run !== run) return;
      this.drawSummary();
      this.view?.onReport?.();
    } finally {
      clearInterval(telling);
      run.asking = null;
    }
  }

  changed(all = false) {
    const { page, values } = read();
    if (!this.view || page !== this.page) return;
    if (this.run) this.run.values = values;
    this.drawTop();
    if (all) this.drawSummary();
    this.view.update?.(values);
  }

  drawTop() {
    const { run } = this;
    const { page, values } = read();
    const kept = { a: values.a, b: values.b };
    const tabs = run && h("nav", { class: "tabs", "aria-label": "Views" }, VIEWS.map((view, place) =>
      h("a", { href: address(view, run.id, view === "time" ? { ...kept, per: values.per } : kept), "aria-current": page === view ? "page" : undefined, title: `Key ${place + 1}` }, NAMES[view])));
    const crumb = run ? [h("b", {}, run.head?.service ?? ""), h("span", { class: "mono" }, run.id),
      run.head && chip(run.told)] : page === "compare" ? [h("b", {}, "Comparison")] : [];
    fill(this.top,
      h("a", { class: "brand", href: isSaved ? address("time", run?.id) : "#/", title: "Runs (g)" }, h("i"), "loadflame"), h("span", { class: "crumb" }, crumb), tabs ?? [], h("span", { class: "spread" }),
      isSaved && h("span", { class: "note" }, "saved report"),
      h("button", { class: "icon", type: "button", title: "Light or dark (t)", "aria-label": "Light or dark", onclick: () => this.switchTheme() }, "◐"),
      h("button", { class: "icon", type: "button", title: "Keyboard (?)", "aria-label": "Keyboard", onclick: () => this.help.showModal() }, "?"));
  }

  /** The verdict and the findings in sentences; functions in them lead to their charts. */
  drawSummary() {
    const { run } = this;
    if (!run?.head) return;
    const { head, report } = run;
    const lasted = run.isLive ? "under way" : `${head.state === "ended" ? "" : "at least "}${f.clock((head.heard_ms - head.started_ms) / 1000)}`;
    const told = report?.accounting;
    const fact = (name, value) => h("span", {}, `${name} `, h("b", {}, value));
    const isEmpty = !report?.warnings.length;
    const isWhole = this.page === "time"; // elsewhere a line reminds of it
    fill(this.summary, h("div", { class: "summary" },
      chip(run.told),
      h("div", {}, run.isLive ? "The run is on: this is what is found so far, and may change until its end." : report?.run.why ?? (head.first_s === null ? "There is nothing to report on." : run.waiting)),
      isWhole && h("div", { class: "facts", style: { "grid-column": "1 / -1" } },
        fact("target", head.target), fact("started", `${f.date(head.started_ms)} UTC`), fact("lasted", lasted), fact("engine", head.engine || "–"),
        told && fact("requests", f.count(told.completed + told.failed)), told && told.failed > 0 && fact("failed", f.count(told.failed)), told && told.dropped > 0 && fact("dropped", f.count(told.dropped)),
        report && fact("service", `${f.cores(report.profile.service_cpu_cores)} cores`),
        report?.capacity.max_tps_within_thresholds != null && fact("held", `${f.rate(report.capacity.max_tps_within_thresholds)} requests/s`),
        report?.capacity.predicted_tps != null && fact("CPU runs out at", `${f.rate(report.capacity.predicted_tps)} requests/s`)),
      report && h("ul", { class: "findings" }, report.findings.slice(0, isWhole ? undefined : 1).map((finding) => h("li", { class: finding.kind },
        h("span", { class: "mark" }, MARKS[finding.kind] ?? "●"), h("span", {}, this.sentence(finding))))),
      isWhole && !isEmpty && h("details", { class: "warnings" }, h("summary", {}, `${f.count(report.warnings.length)} ${report.warnings.length === 1 ? "warning" : "warnings"} before relying on it`),
        h("ul", {}, report.warnings.map((text) => h("li", {}, text))))));
  }

  sentence({ summary, function: label }) {
    return summary.split("`").map((text, place) => (place % 2 === 0 ? text.replace(/([\d\]]) us\b/g, "$1 µs") // as everywhere on the page
      : h("code", { role: "link", tabindex: 0, onclick: () => label && this.run.open(label), onkeydown: (event) => event.key === "Enter" && label && this.run.open(label) }, text)));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    const view = VIEWS[Number(event.key) - 1];
    const { values } = read();
    if (view && this.run) go(view, this.run.id, { a: values.a, b: values.b });
    else if (event.key === "g" && !isSaved) go("runs");
    else if (event.key === "t") this.switchTheme();
    else if (event.key === "?") this.help.showModal();
    else if (event.key === "/") {
      const field = document.querySelector("main [data-key='/']");
      if (!field) return;
      event.preventDefault();
      field.focus();
    }
  }
}

function remembered() {
  try {
    return localStorage.getItem("loadflame-theme");
  } catch {
    return document.documentElement.dataset.theme ?? null; // a saved file may not remember
  }
}

function remember(theme) {
  try {
    localStorage.setItem("loadflame-theme", theme);
  } catch {
    document.documentElement.dataset.theme = theme;
  }
}

globalThis.page = new Page();
