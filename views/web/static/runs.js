// The list of runs.

import { fill, h } from "./dom.js";
import * as f from "./format.js";
import { ask } from "./source.js";
import { address, go, read, set } from "./state.js";

export class RunsView {
  constructor() {
    this.body = h("div", { class: "body" }, h("p", { class: "pending" }, "Reading the store …"));
    this.compare = h("button", { class: "button", type: "button", disabled: true, onclick: () => this.openComparison() }, "Compare");
    this.search = h("input", { type: "search", placeholder: "Filter by service or run  /", "aria-label": "Filter runs", size: 26, oninput: () => set({ q: this.search.value }) });
    this.search.dataset.key = "/";
    this.note = h("span", { class: "note", role: "status" });
    this.element = [h("section", { class: "card", "aria-label": "Runs" },
      h("header", {}, h("h2", {}, "Runs"), this.note, h("span", { class: "spread" }), h("span", { class: "tools" }, this.search, this.compare)), this.body)];
    this.chosen = new Set();
  }

  get isLive() {
    return true; // new runs appear by themselves
  }

  async refresh() {
    this.list = await ask("runs");
    this.update(read().values); // as they are by now: somebody may have typed meanwhile
  }

  update(values) {
    this.values = values;
    if (!this.list) return;
    if (document.activeElement !== this.search) this.search.value = values.q ?? "";
    const words = (values.q ?? "").toLowerCase();
    const shown = this.list.runs.filter((run) => `${run.service} ${run.id} ${told(run)} ${run.target}`.toLowerCase().includes(words));
    fill(this.note, `${f.count(shown.length)}${words ? ` of ${f.count(this.list.runs.length)}` : ""}${this.list.more ? ", the newest" : ""} · times are UTC`);
    this.compare.disabled = this.chosen.size !== 2;
    this.compare.title = "Choose two runs to compare";
    const key = JSON.stringify(shown) + this.list.runs.length;
    if (this.key === key) return; // the same as a second ago
    this.key = key;
    if (!this.list.runs.length) return fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No runs yet"),
      h("p", {}, h("code", {}, "loadflame demo"), " makes one in a minute and a half; it appears here as soon as it has begun.")));
    if (!shown.length) return fill(this.body, h("div", { class: "empty" }, "No run matches."));
    const columns = [["", ""], ["run"], ["service"], ["started", ""], ["lasted", "", "n"], ["requests", "", "n"], ["failed", "", "n"], ["peak", "requests/s", "n"], ["p99", "", "n"], ["CPU", "cores", "n"], ["verdict"]];
    fill(this.body, h("table", { class: "grid", "aria-label": "Runs" },
      h("thead", {}, h("tr", {}, columns.map(([name, unit, kind]) => h("th", { class: kind ?? "", scope: "col" }, name, unit && h("span", { class: "unit" }, ` ${unit}`))))),
      h("tbody", {}, shown.map((run) => this.row(run)))));
  }

  row(run) {
    const open = () => go("time", run.id);
    const box = h("input", { type: "checkbox", "aria-label": `Compare ${run.id}`, onclick: (event) => event.stopPropagation(), onchange: () => this.choose(run.id, box.checked) });
    box.checked = this.chosen.has(run.id);
    return h("tr", { class: "pick", "data-run": run.id, onclick: open },
      h("td", {}, box),
      h("td", { class: "mono id", title: run.id }, h("a", { href: address("time", run.id) }, run.id)),
      h("td", { class: "clip", title: `${run.service}\n${run.target}` }, h("b", {}, run.service), h("span", { class: "dim" }, `  ${run.target}`)),
      h("td", {}, f.date(run.started_ms)),
      h("td", { class: "n" }, run.ended_ms === null ? "–" : f.clock((run.ended_ms - run.started_ms) / 1000)),
      h("td", { class: "n" }, f.count(run.requests)),
      h("td", { class: `n ${run.failed ? "up" : "dim"}` }, f.count(run.failed)),
      h("td", { class: "n" }, f.rate(run.tps)),
      h("td", { class: "n" }, f.ms(run.p99_ms)),
      h("td", { class: "n" }, run.cores === null ? h("span", { class: "dim", title: "no profile" }, "–") : f.cores(run.cores)),
      h("td", {}, chip(run)));
  }

  choose(run, isChosen) {
    this.chosen[isChosen ? "add" : "delete"](run);
    this.compare.disabled = this.chosen.size !== 2;
  }

  openComparison() {
    const [one, other] = this.list.runs.map((run) => run.id).filter((id) => this.chosen.has(id));
    go("compare", null, { a: other, b: one }); // the older one is the base
  }
}

/** What is told of a run in a word: its verdict once it has ended, and until then whether it is on. */
export const told = (run) => (run.state === "ended" ? run.verdict ?? "not judged" : run.state);
export const chip = (run) => h("span", { class: `chip ${told(run).replace(" ", "-")}`, title: run.state === "broken off" ? "Nobody said its end, and nothing was heard of it for two minutes." : null }, told(run));
