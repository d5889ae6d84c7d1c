// Elements from plain calls; text is always text, so nothing that a service names itself can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("td", {class: "n", onclick: f}, "text", child)`. `style` is an object; a false child is left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for the parts of an SVG picture. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined));
  return element;
}

/** Put `children` in the place of all that an element holds; what had the focus has it again, if it is still there. */
export function fill(element, ...children) {
  const focused = document.activeElement;
  const key = focused !== element && element.contains(focused) ? keyOf(focused) : null;
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined));
  if (key && !element.contains(document.activeElement))
    [...element.querySelectorAll(focused.tagName)].find((one) => keyOf(one) === key)?.focus({ preventScroll: true });
  return element;
}

/** What tells an element from its neighbours of the same kind. */
function keyOf(element) {
  const { label, run, endpoint } = element.dataset;
  return label ?? run ?? endpoint ?? element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.textContent;
}

/** A switch between a few values: `choices` are pairs of value and text. */
export function segments(label, choices, chosen, choose) {
  return h("span", { class: "segments", role: "group", "aria-label": label }, choices.map(([value, text, title]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), title, onclick: () => choose(value) }, text)));
}

const TAIL = 14;

/** A name that loses its middle where there is no room: what tells names apart is mostly at their end. `more` is not shown without room for all of it. */
export function named(before, name, more = "") {
  const at = name.length > TAIL ? name.length - TAIL : name.length;
  return h("span", { class: "named" }, before, h("span", { class: "name" }, h("span", { class: "lead" }, name.slice(0, at)), at < name.length && h("span", { class: "tail" }, name.slice(at))),
    more && h("span", { class: "file" }, more));
}

let tip;

/** Show lines beside the pointer; null hides them. */
export function tell(event, ...lines) {
  tip ??= document.body.appendChild(h("div", { class: "tip", role: "tooltip", hidden: true }));
  tip.hidden = event === null;
  if (event === null) return;
  fill(tip, lines.map((line) => h("div", {}, line)));
  const { width, height } = tip.getBoundingClientRect();
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - width - 14 : event.clientX + 14;
  const top = event.clientY + 16 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}
