// What is shown stands in the address, all of it: a link in a chat shows the same.
//
//   #/                                    the runs
//   #/runs/ID/VIEW?a=12-20&b=30-40&...    a run: `a` and `b` are ranges in seconds since its start
//   #/compare?a=ID:12-20&b=ID             two runs, or ranges of them

const listeners = new Set();

export const VIEWS = ["time", "functions", "latency", "health"];

/** The address, taken apart. */
export function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind = "", run = "", view = ""] = path.split("/").map(decodeURIComponent);
  const values = Object.fromEntries(new URLSearchParams(query));
  if (kind === "runs" && run) return { page: VIEWS.includes(view) ? view : "time", run, values };
  if (kind === "compare") return { page: "compare", run: null, values };
  return { page: "runs", run: null, values };
}

/** The address of a page; empty values are left out. */
export function address(page, run, values = {}) {
  const known = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(known).toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  const path = page === "runs" ? "#/" : page === "compare" ? "#/compare" : `#/runs/${encodeURIComponent(run)}/${page}`;
  return query ? `${path}?${query}` : path;
}

/** Change some values of this page, in place: going back leads to the page before, not through every step. */
export function set(changes) {
  const { page, run, values } = read();
  history.replaceState(null, "", address(page, run, { ...values, ...changes }));
  for (const listener of listeners) listener(changes);
}

/** Go to another page. */
export function go(page, run, values = {}) {
  location.hash = address(page, run, values);
}

/** Call `listener(changes)` at every `set`, until the function that is given back is called. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A range from `12-20` (the first may be negative), null when it is none. */
export function range(text) {
  const match = /^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$/.exec(text ?? "");
  return match && Number(match[2]) > Number(match[1]) ? [Number(match[1]), Number(match[2])] : null;
}

export const rangeText = (ends) => (ends ? `${round(ends[0])}-${round(ends[1])}` : "");

const round = (value) => Number(Number(value).toFixed(3));
