// The flame graph of a range, or the difference of two, with its tools and the functions beside it.

import { differenceColour, functionColour, packageColour } from "./colours.js";
import { fill, h, named, segments } from "./dom.js";
import * as f from "./format.js";
import { Icicle } from "./icicle.js";
import { ask, runPath } from "./source.js";
import { rangeText, set } from "./state.js";
import { difference, functionsOf, matched, search, treeOf } from "./tree.js";

const MOST_ROWS = 40;

/** A card; `show(a, b, values)` fills it. A range is {run, from, to, text}, `b` null without a second one.
 *
 * From the address it takes q (search), hide (idle, library), colour (function, package) and zoom (places of children).
 */
export class FlamePanel {
  constructor({ title = "Flame graph", onPick = null } = {}) {
    this.onPick = onPick;
    this.answers = new Map();
    this.icicle = new Icicle({
      onZoom: (labels) => set({ zoom: this.zoomText(labels) }),
      onFocus: (node) => this.tell(node),
      sentences: (node) => this.sentences(node),
    });
    this.ranges = h("span", { class: "tools" });
    this.search = h("input", { type: "search", placeholder: "Search frames  /", "aria-label": "Search frames", size: 18,
      oninput: () => set({ q: this.search.value }), onkeydown: (event) => event.key === "Escape" && this.search.blur() });
    this.search.dataset.key = "/";
    this.found = h("span", { class: "note", role: "status" });
    this.hideIdle = this.check("idle", "Hide idle");
    this.hideLibrary = this.check("library", "Hide library");
    this.colours = h("span");
    this.told = h("div", { class: "told", role: "status", "aria-live": "polite" });
    this.legend = h("div", { class: "legend" });
    this.side = h("div", { class: "side" });
    this.body = h("div", { class: "flame" }, h("div", { class: "left" }, this.told, this.icicle.element, this.legend), this.side);
    this.element = h("section", { class: "card", "aria-label": title },
      h("header", {}, h("h2", {}, title), this.ranges, h("span", { class: "spread" }),
        h("span", { class: "tools" }, this.found, this.search, this.hideIdle, this.hideLibrary, this.colours)),
      this.body);
  }

  check(name, text) {
    const box = h("input", { type: "checkbox", name, onchange: () => {
      const hidden = new Set((this.values.hide ?? "").split(",").filter(Boolean));
      hidden[box.checked ? "add" : "delete"](name);
      set({ hide: [...hidden].sort().join(","), zoom: "" });
    } });
    return h("label", { class: "check" }, box, text);
  }

  async show(a, b, values, chips = []) {
    this.values = values;
    fill(this.ranges, chips);
    const key = JSON.stringify([a, b]);
    this.key = key;
    try {
      const [first, second] = await Promise.all([this.answer(a), b && this.answer(b)]);
      if (this.key === key) this.draw(first, second, a, b);
    } catch (error) {
      if (this.key === key) fill(this.told, h("span", { class: "up" }, error.message));
    }
  }

  /** One answer a range; a run that is on is asked again each time. */
  async answer({ run, from, to, live }) {
    const key = `${run} ${from} ${to}`;
    if (!this.answers.has(key) || live) {
      if (this.answers.size > 24) this.answers.clear();
      const asked = ask(runPath(run, "flame"), { from, to });
      this.answers.set(key, asked);
      asked.catch(() => this.answers.get(key) === asked && this.answers.delete(key)); // asked anew next time
    }
    return this.answers.get(key);
  }

  draw(first, second, a, b) {
    const hidden = new Set((this.values.hide ?? "").split(",").filter(Boolean));
    const options = { library: hidden.has("library"), idle: hidden.has("idle") };
    this.hideIdle.firstChild.checked = options.idle;
    this.hideLibrary.firstChild.checked = options.library;
    if (document.activeElement !== this.search) this.search.value = this.values.q ?? "";
    Object.assign(this, { first, second, a, b });
    this.perRequest = second ? first.requests > 0 && second.requests > 0 : first.requests > 0;
    const per = (one) => (this.perRequest ? one.requests : Math.max(one.seconds, 1e-9));
    this.tree = second
      ? difference(treeOf(first, options), treeOf(second, options), per(first), per(second))
      : treeOf(first, options);
    const matches = search(this.tree, this.values.q ?? "");
    fill(this.found, matches && (matches.size ? `${f.count(matches.size)} matching, on ${f.percent(matched(this.tree, matches))} of the CPU` : "nothing matches"));
    fill(this.colours, !second && segments("Colour by", [["function", "Hot functions"], ["package", "Packages"]],
      this.values.colour === "package" ? "package" : "function", (colour) => set({ colour: colour === "package" ? colour : "" })));
    const isEmpty = this.tree.width[0] <= 0;
    this.icicle.element.hidden = isEmpty;
    this.icicle.show(this.tree, { path: this.zoomPath(), matches, colours: this.values.colour });
    this.tell(null);
    if (isEmpty) fill(this.told, first.seconds > 0 ? "No CPU samples in this range: the service was idle." : "No profile in this range.");
    this.drawLegend(isEmpty);
    this.drawFunctions();
    this.body.dataset.shown = [a, b].filter(Boolean).map((one) => rangeText([one.from, one.to])).join(" ");
  }

  zoomPath() {
    const labels = [];
    let node = 0;
    for (const place of (this.values.zoom ?? "").split(".").filter(Boolean)) {
      node = this.tree.children[node][Number(place)];
      if (node === undefined) break;
      labels.push(this.tree.labels[this.tree.label[node]]);
    }
    return labels;
  }

  zoomText(labels) {
    const places = [];
    let node = 0;
    for (const label of labels) {
      const place = this.tree.children[node].findIndex((one) => this.tree.labels[this.tree.label[one]] === label);
      places.push(place);
      node = this.tree.children[node][place];
    }
    return places.join(".");
  }

  unit(value) {
    return `${f.micros(value)}${this.perRequest ? "/request" : " a second"}`;
  }

  /** What is known of a frame, in lines. */
  sentences(node) {
    const { tree } = this;
    const label = tree.labels[tree.label[node]];
    const share = (value) => f.percent(tree.total[0] ? value / tree.total[0] : 0);
    if (!tree.base) {
      const each = this.first.requests ? ` · ${f.micros(tree.total[node] / this.first.requests)}/request` : "";
      return [
        h("b", {}, node ? label : "all CPU of this range"),
        `total ${f.micros(tree.total[node])} (${share(tree.total[node])})${each} · ${f.count(tree.totalSamples[node])} samples`,
        `self ${f.micros(tree.self[node])} (${share(tree.self[node])})`,
      ];
    }
    const delta = (now, before) => `${this.unit(before)} → ${this.unit(now)} (${f.signed(this.unit(now - before), now - before)})`;
    return [
      h("b", {}, node ? label : "all CPU"),
      `total ${delta(tree.total[node], tree.baseTotal[node])}`,
      `self ${delta(tree.self[node], tree.base[node])}`,
    ];
  }

  tell(node) {
    if (!this.tree) return;
    const at = node ?? this.icicle.zoom;
    fill(this.told, this.sentences(at).flatMap((line, place) => (place ? [" · ", line] : [line])));
  }

  drawLegend(isEmpty) {
    if (isEmpty) return fill(this.legend);
    if (this.tree.base) {
      const scale = h("span", { class: "scale", style: { background: `linear-gradient(90deg, ${[-1, -0.4, 0, 0.4, 1].map(differenceColour).join(", ")})` } });
      return fill(this.legend, h("span", {}, h("b", {}, "A "), this.a.text), h("span", {}, h("b", {}, "B "), this.b.text), h("span", {}, `cheaper in B  `, scale, `  dearer in B than in A`),
        h("span", {}, this.perRequest ? "normalised: CPU per request" : "normalised: CPU per second, for there were no requests"),
        h("span", {}, "width: the greater of the two"));
    }
    const shown = new Map();
    for (const one of functionsOf(this.tree).sort((x, y) => y.self - x.self)) {
      const [name, colour] = this.values.colour === "package" ? [one.package, packageColour(one.package)] : [f.brief(one.label), functionColour(one.label)];
      if (this.values.colour !== "package" && colour === functionColour("")) continue;
      if (!shown.has(name)) shown.set(name, { colour, self: 0 });
      shown.get(name).self += one.self;
    }
    const names = [...shown].sort(([, x], [, y]) => y.self - x.self).slice(0, 10);
    return fill(this.legend, names.map(([name, { colour, self }]) =>
      h("span", {}, h("i", { class: "swatch", style: { background: colour } }), ` ${name} `, h("span", { class: "dim" }, f.percent(self / this.tree.total[0])))));
  }

  drawFunctions() {
    const { tree } = this;
    const all = functionsOf(tree);
    const ranked = tree.base
      ? all.sort((x, y) => Math.abs(y.self - y.base) - Math.abs(x.self - x.base))
      : all.sort((x, y) => y.self - x.self || y.total - x.total || (x.label < y.label ? -1 : 1));
    const top = ranked.slice(0, MOST_ROWS);
    const most = tree.base ? 1 : Math.max(1e-9, ...top.map((one) => one.self));
    const each = this.perRequest ? "µs/request" : "µs/s";
    const head = tree.base
      ? [[`self, ${each}`, ""], ["A", ""], ["B", ""], ["B − A", ""]]
      : [["function", ""], ["self", "CPU"], ["total", "CPU"]];
    const name = (one) => h("td", { class: "clip", title: one.label }, named(h("i", { class: "swatch", style: { background: functionColour(one.label) } }), f.brief(one.label)));
    const row = (one) => (tree.base
      ? [name(one), h("td", { class: "n" }, f.number(one.base)), h("td", { class: "n" }, f.number(one.self)),
        h("td", { class: `n ${one.self > one.base ? "up" : "down"}` }, f.signed(f.number(one.self - one.base), one.self - one.base))]
      : [name(one), h("td", { class: "n" }, h("span", { class: "bar", style: { width: "74px" } }, h("i", { style: { width: `${(100 * one.self) / most}%` } }), h("span", {}, f.micros(one.self)))),
        h("td", { class: "n" }, f.micros(one.total))]);
    fill(this.side, h("table", { class: "grid", "aria-label": "Functions of the range" },
      h("thead", {}, h("tr", {}, head.map(([text, unit], place) => h("th", { class: place ? "n" : "", scope: "col" }, text, unit && h("span", { class: "unit" }, ` ${unit}`))))),
      h("tbody", {}, top.map((one) => h("tr", { class: "pick", "data-label": one.label, tabindex: 0,
        onclick: () => set({ q: f.parts(one.label)[0] }), onkeydown: (event) => event.key === "Enter" && set({ q: f.parts(one.label)[0] }) }, row(one))))),
    ranked.length > MOST_ROWS && h("p", { class: "note" }, `and ${f.count(ranked.length - MOST_ROWS)} more`));
  }
}

