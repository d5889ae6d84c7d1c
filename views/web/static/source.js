// Where answers come from: the server's API, or the data that a saved file carries. Both know the same questions.

const saved = document.getElementById("loadflame-data");

export const isSaved = saved !== null;

/** The answer to a question as in `views/web/answers.py`. Throws an Error with the server's sentence. */
export async function ask(path, parameters = {}) {
  const known = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(known).toString();
  if (isSaved) return fromFile(path, Object.fromEntries(known));
  const response = await fetch(`api/${path}${query ? `?${query}` : ""}`);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer;
}

export const runPath = (run, what = "") => `runs/${encodeURIComponent(run)}${what && `/${what}`}`;

let data;

async function fromFile(path, { from, to, endpoint = "", label, row }) {
  data ??= JSON.parse(saved.textContent);
  const what = path.split("/")[2] ?? (path === "runs" ? "runs" : "head");
  if (what === "flame") return flameOf(data.flame, Number(from ?? -1e12), Number(to ?? 1e12));
  if (what === "requests") return requestsOf(Number(from), Number(to), endpoint, Number(row));
  if (what === "latency") return data.latency[endpoint];
  if (what === "function") {
    if (!data.functions[label]) throw new Error("this file keeps the points of the hottest functions only");
    return data.functions[label];
  }
  return data[what];
}

/** The tree of a range, from a tree with a list of [bucket, us, samples] for each node. */
function flameOf({ step_s, start_s, cells, buckets, ...tree }, from, to) {
  const isIn = buckets.t_s.map((at) => at >= from - 1e-6 && at < to - 1e-6);
  const sum = (column) => column.reduce((total, value, place) => total + (isIn[place] ? value : 0), 0);
  const self_us = cells.map((list) => list.reduce((total, [bucket, us]) => total + (isIn[bucket] ? us : 0), 0));
  const self_samples = cells.map((list) => list.reduce((total, [bucket, , seen]) => total + (isIn[bucket] ? seen : 0), 0));
  const there = buckets.t_s.filter((_, place) => isIn[place]);
  return {
    ...tree,
    self_us,
    self_samples,
    from_s: there[0] ?? 0,
    to_s: there.length ? there.at(-1) + step_s : 0,
    seconds: sum(buckets.seconds),
    requests: sum(buckets.requests),
    cpu_us: sum(buckets.cpu_us),
    unattributed_us: sum(buckets.unattributed_us),
    samples: self_samples.reduce((total, one) => total + one, 0),
  };
}

/** Of the requests in the file, which are the slowest of the run. */
function requestsOf(from, to, endpoint, row) {
  const { first_row, edges_ms } = data.latency[endpoint];
  const [low, high] = [edges_ms[row - first_row], edges_ms[row - first_row + 1]];
  const rows = data.slowest.filter((one) => one.t_s >= from && one.t_s < to && one.latency_ms > low
    && one.latency_ms <= high && (!endpoint || one.endpoint === endpoint));
  return { count: rows.length, rows };
}
