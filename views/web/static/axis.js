// A picture over time that a pointer or the keyboard can read and select from.

import { h } from "./dom.js";

const NEAR = 4; // pixels: a shorter drag is a click

/** The box of a picture whose plot area lies between `left` and `right` pixels from its sides.
 *
 * `times()` gives {from, to, step}, the ends of the axis and the length of a bucket in seconds. `onRead(at)` hears of the
 * time under the pointer, null when it leaves; `onSelect(which, [from, to] | null)` of a range, "a" or, with Shift held or
 * the second button, "b"; `onClick(at, y)` of a click.
 */
export class TimeBox {
  constructor({ height, left, right, times, label, onRead, onSelect, onClick = null }) {
    Object.assign(this, { left, right, times, onRead, onSelect, onClick, cursor: null, pointer: null, drag: null, ranges: {} });
    this.plot = h("div", { class: "plot" });
    this.hair = h("div", { class: "hair", hidden: true });
    this.brushes = { a: h("div", { class: "brush a", hidden: true }, h("i", {}, "A")), b: h("div", { class: "brush b", hidden: true }, h("i", {}, "B")) };
    this.element = h("div", { class: "plotbox", tabindex: 0, role: "group", "aria-label": label, style: { height: `${height}px` } },
      this.plot, this.brushes.a, this.brushes.b, this.hair);
    this.element.addEventListener("pointerdown", (event) => this.down(event));
    this.element.addEventListener("pointermove", (event) => this.move(event));
    this.element.addEventListener("pointerup", (event) => this.up(event));
    this.element.addEventListener("pointerleave", () => !this.drag && this.read(null));
    this.element.addEventListener("contextmenu", (event) => event.preventDefault());
    this.element.addEventListener("dblclick", () => this.onSelect?.("a", null));
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  get width() {
    return Math.max(1, this.element.clientWidth - this.left - this.right);
  }

  x(at) {
    const { from, to } = this.times();
    return this.left + ((at - from) / (to - from)) * this.width;
  }

  timeOf(event) {
    const { from, to } = this.times();
    const share = (event.clientX - this.element.getBoundingClientRect().left - this.left) / this.width;
    return from + Math.min(1, Math.max(0, share)) * (to - from);
  }

  down(event) {
    if (event.button > 2) return;
    this.element.setPointerCapture(event.pointerId);
    this.drag = { which: event.shiftKey || event.button === 2 ? "b" : "a", from: this.timeOf(event), x: event.clientX };
  }

  move(event) {
    const at = this.timeOf(event);
    this.read(at, event);
    if (this.drag && this.onSelect && Math.abs(event.clientX - this.drag.x) >= NEAR) this.paint(this.drag.which, this.snapped(this.drag.from, at));
  }

  up(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (Math.abs(event.clientX - drag.x) >= NEAR) this.onSelect?.(drag.which, this.snapped(drag.from, this.timeOf(event)));
    else this.onClick?.(this.timeOf(event), event.clientY - this.element.getBoundingClientRect().top, event);
  }

  /** Whole buckets between two times, at least one. */
  snapped(one, other) {
    const { from, to, step } = this.times();
    const first = Math.floor((Math.min(one, other) - from) / step + 1e-9);
    const last = Math.max(first + 1, Math.ceil((Math.max(one, other) - from) / step - 1e-9));
    return [Math.max(from, from + first * step), Math.min(to, from + last * step)];
  }

  /** Left and right move a cursor; with Shift they stretch range A, with Alt and Shift range B. Escape lets go. */
  key(event) {
    const { from, to, step } = this.times();
    if (event.key === "Escape") {
      this.onSelect?.("b", null);
      this.onSelect?.("a", null);
      this.read(null);
      return;
    }
    if (event.key === "Enter" && this.onClick && this.cursor !== null) {
      this.onClick(this.cursor, null, event);
      return;
    }
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const before = this.cursor ?? from + step / 2;
    const at = Math.min(to - step / 2, Math.max(from + step / 2, before + (event.key === "ArrowRight" ? step : -step)));
    if (event.shiftKey && this.onSelect) {
      const which = event.altKey ? "b" : "a";
      this.anchor ??= before;
      this.onSelect(which, this.snapped(this.anchor, at));
    } else this.anchor = null;
    this.read(at);
  }

  read(at, event = null) {
    this.pointer = event && { clientX: event.clientX };
    this.show(at, event);
  }

  /** Once the axis has changed: the pointer rests where it was, and may be at another time. */
  reread() {
    this.show(this.pointer ? this.timeOf(this.pointer) : this.cursor);
  }

  show(at, event = null) {
    this.cursor = at;
    this.hair.hidden = at === null;
    if (at !== null) this.hair.style.left = `${this.x(at)}px`;
    this.onRead?.(at, event);
  }

  /** Show a range, or none. */
  paint(which, ends) {
    this.ranges[which] = ends;
    const brush = this.brushes[which];
    brush.hidden = !ends;
    if (!ends) return;
    const { from, to } = this.times();
    const [left, right] = ends.map((at) => this.x(Math.min(to, Math.max(from, at))));
    brush.style.left = `${left}px`;
    brush.style.width = `${Math.max(2, right - left)}px`;
  }

  /** After the size or the axis has changed; `top` and `bottom` bound the plot area. */
  repaint(top, bottom) {
    for (const one of [this.hair, this.brushes.a, this.brushes.b]) {
      one.style.top = `${top}px`;
      one.style.bottom = `${bottom}px`;
    }
    for (const which of ["a", "b"]) this.paint(which, this.ranges[which]);
  }
}
