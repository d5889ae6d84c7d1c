// A function has one colour, in every chart; colours of packages and differences besides.

const HOT = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#b5a642"];

const assigned = new Map();

/** Give the hottest functions of a run their colours, the hottest first. */
export function assign(labels) {
  assigned.clear();
  labels.filter((label) => label !== "(unattributed)").slice(0, HOT.length).forEach((label, place) => assigned.set(label, HOT[place]));
}

export const isDark = () => document.documentElement.dataset.theme === "dark";
export const hasColour = (label) => assigned.has(label);
export const functionColour = (label) => assigned.get(label) ?? token("--neutral");

/** A colour of the style sheet. */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const hues = new Map();

/** A muted colour by the name of a package: the same wherever it appears. */
export function packageColour(name) {
  if (name === "(service)") return isDark() ? "#c96f3b" : "#f4a36f";
  if (name === "(unattributed)" || name === "") return token("--neutral");
  if (!hues.has(name)) {
    let hash = 7;
    for (const letter of name) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    hues.set(name, (hash * 137.508) % 290 + 50); // not the hues of the service's own code
  }
  return isDark() ? `hsl(${hues.get(name)} 26% 38%)` : `hsl(${hues.get(name)} 44% 76%)`;
}

/** From blue (cheaper) over neutral to red (dearer); `share` from -1 to 1. */
export function differenceColour(share) {
  const strength = Math.min(1, Math.abs(share)) ** 0.6;
  const [from, to] = [isDark() ? [51, 58, 68] : [223, 227, 232], share > 0 ? [214, 64, 54] : [66, 105, 208]];
  return `rgb(${from.map((value, place) => Math.round(value + (to[place] - value) * strength)).join(" ")})`;
}

/** Dark or light ink for text on a colour of any form, which a canvas writes as #rrggbb. */
export function inkOn(context, colour) {
  context.fillStyle = colour;
  return inkFor(context.fillStyle);
}

/** The same for #rrggbb. */
export function inkFor(colour) {
  const [red, green, blue] = /^#(..)(..)(..)/.exec(colour)?.slice(1).map((pair) => parseInt(pair, 16)) ?? [128, 128, 128];
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#16191d" : "#ffffff";
}
