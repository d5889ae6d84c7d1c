// The flame graph, root above, drawn on a canvas: thousands of frames take some milliseconds.

import { differenceColour, functionColour, hasColour, inkOn, isDark, packageColour, token } from "./colours.js";
import { h, tell } from "./dom.js";
import { brief, parts } from "./format.js";
import { follow, pathTo } from "./tree.js";

const ROW = 18;
const NARROWEST = 0.5; // pixels: less is not seen

/** A flame graph: `show(tree, options)` draws one.
 *
 * It calls `onZoom(labels)` when another frame is to fill the width, and `onFocus(node)` for the frame that is pointed at
 * or reached by the arrow keys. `frames` of its canvas are the rectangles that were drawn.
 */
export class Icicle {
  constructor({ onZoom, onFocus, sentences }) {
    this.canvas = h("canvas", { role: "img" });
    this.element = h("div", { class: "icicle", tabindex: 0, role: "group", "aria-label": "Flame graph: arrow keys move, Enter zooms, Escape shows all" }, this.canvas);
    Object.assign(this, { onZoom, onFocus, sentences, zoom: 0, focus: null });
    this.canvas.addEventListener("mousemove", (event) => this.point(event));
    this.canvas.addEventListener("mouseleave", () => this.leave());
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** `path`: labels of the frame that fills the width; `matches`: places of labels that were searched for, or null. */
  show(tree, { path = [], matches = null, colours = "function" }) {
    const before = this.focus !== null && this.tree ? pathTo(this.tree, this.focus) : null;
    Object.assign(this, { tree, matches, colours });
    this.zoom = follow(tree, path);
    this.focus = before ? follow(tree, before) : null;
    this.biggest = tree.base ? Math.max(1e-9, ...tree.label.map((_, node) => (node ? Math.abs(tree.self[node] - tree.base[node]) : 0))) : 1;
    this.draw();
  }

  draw() {
    if (!this.tree || !this.element.clientWidth) return;
    const began = performance.now();
    const { tree } = this;
    const width = this.element.clientWidth;
    const above = pathTo(tree, this.zoom).length;
    const frames = this.layout(width, above);
    const rows = Math.max(4, ...frames.map((one) => one.row + 1));
    const scale = devicePixelRatio || 1;
    const canvas = this.canvas;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(rows * ROW * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${rows * ROW}px`;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = `11px ${token("--sans")}`;
    context.textBaseline = "middle";
    const inks = new Map();
    for (const one of frames) this.frame(context, one, inks);
    canvas.frames = frames;
    canvas.setAttribute("aria-label", `${frames.length} frames`);
    canvas.dataset.drawnMs = (performance.now() - began).toFixed(1);
  }

  /** Rectangles of what is wide enough to be seen: the frames above the zoomed one span the width. */
  layout(width, above) {
    const { tree } = this;
    const frames = [];
    for (let node = this.zoom, row = above; node >= 0; node = tree.parent[node], row--)
      frames.push({ node, row, x: 0, w: width, label: tree.labels[tree.label[node]], isAbove: node !== this.zoom });
    const perUnit = tree.width[this.zoom] ? width / tree.width[this.zoom] : 0;
    const walk = [[this.zoom, 0, above]];
    while (walk.length) {
      const [node, x, row] = walk.pop();
      let left = x;
      for (const below of tree.children[node]) {
        const wide = tree.width[below] * perUnit;
        if (wide < NARROWEST) break; // they are in order of their width
        frames.push({ node: below, row: row + 1, x: left, w: wide, label: tree.labels[tree.label[below]] });
        walk.push([below, left, row + 1]);
        left += wide;
      }
    }
    return frames;
  }

  frame(context, { node, row, x, w, label, isAbove }, inks) {
    const colour = this.colour(node, label);
    const isDim = this.matches && !this.matches.has(this.tree.label[node]);
    context.globalAlpha = isDim ? 0.28 : isAbove ? 0.6 : 1;
    context.fillStyle = colour;
    context.fillRect(x, row * ROW, Math.max(w - (w > 3 ? 1 : 0), 0.5), ROW - 1);
    if (this.matches && !isDim) {
      context.strokeStyle = token("--ink");
      context.strokeRect(x + 0.5, row * ROW + 0.5, Math.max(w - 2, 0.5), ROW - 2);
    }
    if (node === this.focus) {
      context.lineWidth = 2;
      context.strokeStyle = token("--accent");
      context.strokeRect(x + 1, row * ROW + 1, Math.max(w - 3, 1), ROW - 3);
      context.lineWidth = 1;
    }
    if (w > 26) {
      if (!inks.has(colour)) inks.set(colour, inkOn(context, colour));
      context.fillStyle = inks.get(colour);
      context.fillText(clipped(context, node ? parts(label)[0] : label, w - 8), x + 4, row * ROW + ROW / 2);
    }
    context.globalAlpha = 1;
  }

  colour(node, label) {
    const { tree } = this;
    const place = tree.label[node];
    if (node === 0) return isDark() ? "#2a3038" : "#e9ecf0";
    if (tree.base) {
      const [now, before] = [tree.total[node], tree.baseTotal[node]];
      return differenceColour((now - before) / Math.max(now, before, 1e-9) * Math.min(1, Math.abs(now - before) / this.biggest * 1.5));
    }
    if (this.colours === "package") return packageColour(tree.packages[place]);
    if (hasColour(label)) return functionColour(label);
    return tree.kinds[place] === "own" ? (isDark() ? "#5b4a3d" : "#f2dccb") : isDark() ? "#333a44" : "#dfe3e8";
  }

  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, row] = [event.clientX - left, Math.floor((event.clientY - top) / ROW)];
    return this.canvas.frames?.find((one) => one.row === row && x >= one.x && x < one.x + one.w);
  }

  point(event) {
    const found = this.at(event);
    tell(found ? event : null, ...(found ? this.sentences(found.node) : []));
    if (found && found.node !== this.focus) this.reach(found.node);
  }

  leave() {
    tell(null);
    if (!this.element.matches(":focus")) this.reach(null);
  }

  reach(node) {
    this.focus = node;
    this.onFocus(node);
    this.draw();
  }

  click(event) {
    const found = this.at(event);
    if (found) this.onZoom(pathTo(this.tree, found.node));
  }

  key(event) {
    const { tree } = this;
    const at = this.focus ?? this.zoom;
    const beside = (step) => {
      const all = at > 0 ? tree.children[tree.parent[at]] : [0];
      return all[all.indexOf(at) + step] ?? at;
    };
    const moves = {
      ArrowDown: () => this.reach(tree.children[at][0] ?? at),
      ArrowUp: () => this.reach(Math.max(0, tree.parent[at])),
      ArrowRight: () => this.reach(beside(1)),
      ArrowLeft: () => this.reach(beside(-1)),
      Enter: () => this.onZoom(pathTo(tree, at)),
      Escape: () => this.onZoom([]),
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  }
}

function clipped(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const short = brief(text);
  if (context.measureText(short).width <= width) return short;
  let letters = Math.floor((width / Math.max(context.measureText(short).width, 1)) * short.length) - 1;
  while (letters >= 2 && context.measureText(`${short.slice(0, letters)}…`).width > width) letters -= 1; // its first letters may be its widest
  return letters >= 2 ? `${short.slice(0, letters)}…` : "";
}

