// Numbers as people read them: three significant digits, a unit that fits, a dash for what is not known.

const NONE = "–";

function digits(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1000) return String(value);
  if (size >= 100) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return String(Number(value.toPrecision(2)));
}

export const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
export const number = (value) => (known(value) ? digits(value) : NONE);
export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en-US") : NONE);
export const percent = (share) => (known(share) ? `${Math.abs(share) > 0.0995 ? (100 * share).toFixed(0) : (100 * share).toFixed(1)}%` : NONE);
export const ms = (value) => (known(value) ? (value >= 10_000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`) : NONE);
export const cores = (value) => (known(value) ? `${value < 0.0005 ? "0" : value < 0.1 ? value.toFixed(3) : value.toFixed(2)}` : NONE);
export const rate = (value) => (known(value) ? digits(value) : NONE);

/** CPU or other time from microseconds. */
export function micros(us) {
  if (!known(us)) return NONE;
  const size = Math.abs(us);
  if (size >= 60e6) return `${digits(us / 60e6)} min`;
  if (size >= 1e6) return `${digits(us / 1e6)} s`;
  if (size >= 1e4) return `${digits(us / 1e3)} ms`;
  return `${digits(us)} µs`;
}

/** A difference with its sign. */
export const signed = (text, value) => (value > 0 ? `+${text}` : text.replace("-", "−"));

/** A length of time, or a place on the axis, from seconds: 8 s, 1:30, 2:05:00. */
export function clock(seconds) {
  const minus = seconds < 0 ? "−" : "";
  const exact = Math.abs(seconds);
  const whole = exact < 59.5 ? exact : Math.round(exact);
  if (whole < 60) return `${minus}${Number(whole.toFixed(whole < 10 ? 1 : 0))} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return minus + (hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`);
}

export const span = (from, to) => `${clock(from).replace(/ s$/, to < 60 ? "" : " s")}–${clock(to)}`;
export const timeOfDay = (ms) => new Date(ms).toISOString().slice(11, 19);
export const date = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

/** The label of a frame in two parts. */
export function parts(label) {
  const match = /^(.*) \(([^()]*)\)$/s.exec(label);
  return match ? [match[1], match[2]] : [label, ""];
}

/** The last names of a qualified function, as many as are telling. */
export function brief(label) {
  const name = parts(label)[0];
  return name.replace(/\.<locals>/g, "").split(".").slice(-2).join(".");
}
