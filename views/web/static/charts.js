// Pictures by plotly, which draws axes and lines; pointer, keyboard and read-outs are ours, so pictures stay still.

import { token } from "./colours.js";
import { clock } from "./format.js";
import { isSaved } from "./source.js";

let loading;

/** Plotly, loaded once; asked for early, it comes while the figures do. */
export function plotly() {
  loading ??= isSaved ? fromFile() : new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "plotly.min.js";
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** A saved file carries it compressed. */
async function fromFile() {
  const packed = Uint8Array.from(atob(document.getElementById("loadflame-plotly").textContent), (letter) => letter.charCodeAt(0));
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(script);
  return globalThis.Plotly;
}

/** Draw `traces` in an element that has a size; `layout` goes over the common one. */
export async function draw(element, traces, layout) {
  const Plotly = await plotly();
  if (!element.isConnected || !element.clientWidth) return;
  await Plotly.react(element, traces, {
    width: element.clientWidth,
    height: element.clientHeight,
    font: { family: token("--sans"), size: 11, color: token("--ink-2") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    ...layout,
  }, { staticPlot: true, responsive: false, displayModeBar: false });
  element.dataset.drawn = String(Number(element.dataset.drawn ?? 0) + 1);
}

/** An axis with its words and unit, in the page's ink. */
export function axis(text, more = {}) {
  return {
    title: { text, standoff: 6, font: { size: 11, color: token("--ink-3") } },
    gridcolor: token("--line"),
    separatethousands: true,
    zeroline: false,
    linecolor: token("--line-strong"),
    tickcolor: token("--line-strong"),
    fixedrange: true,
    ...more,
  };
}

/** Ticks of a time axis: round steps of seconds, minutes or hours, written as the clock shows them. */
export function timeTicks(from, to, pixels) {
  const most = Math.max(2, Math.floor(pixels / 80));
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const step = steps.find((one) => (to - from) / one <= most) ?? 172800;
  const values = [];
  for (let place = Math.ceil(from / step); place * step <= to; place++) values.push(Number((place * step).toFixed(3)));
  return { tickmode: "array", tickvals: values, ticktext: values.map(clock), range: [from, to] };
}

/** A line on a band, as plotly wants a colour with less ink. */
export function faint(colour, share) {
  const value = /^#(..)(..)(..)$/.exec(colour);
  return value ? `rgba(${value.slice(1).map((pair) => parseInt(pair, 16)).join(",")},${share})` : colour;
}
