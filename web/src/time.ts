// Ranges, steps and clocks. All times are seconds (since the epoch where they are points), as in the HTTP API.

const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

/** parseDuration reads Prometheus' duration format ("1h30m", "15s"); null if it is not one. */
export function parseDuration(text: string): number | null {
  const s = text.trim();
  if (!/^(\d+(ms|[smhdwy]))+$/.test(s)) return null;
  let sum = 0;
  for (const [, n, u] of s.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(n) * (units[u ?? ""] ?? 0);
  return sum > 0 ? sum : null;
}

/** duration writes whole seconds in Prometheus' format: 90 is "1m30s". Fractions of a second are rounded away. */
export function duration(sec: number): string {
  let left = Math.max(1, Math.round(sec));
  let out = "";
  for (const u of ["d", "h", "m", "s"]) {
    const size = units[u] ?? 1;
    const n = Math.floor(left / size);
    if (n > 0) out += `${n}${u}`;
    left -= n * size;
  }
  return out;
}

const niceSteps = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/**
 * chooseStep is the distance between two points: about one for every three pixels, never finer than what was scraped,
 * always a round number, so that two charts of nearly the same width ask the same question.
 */
export function chooseStep(range: number, width: number, interval = 1): number {
  const points = Math.min(1000, Math.max(60, width / 3));
  const wanted = Math.max(range / points, interval);
  const nice = niceSteps.find((s) => s >= wanted);
  return nice ?? Math.ceil(wanted / 86400) * 86400;
}

/**
 * rateWindow is how far back each rate() looks: four scrapes, so that one lost scrape leaves no hole, and at least one
 * step and one scrape, so that no increase falls between two points.
 */
export function rateWindow(step: number, interval: number): number {
  return Math.ceil(Math.max(4 * interval, step + interval));
}

/** scrapeInterval is the median distance of the sample times, or fallback with fewer than two of them. */
export function scrapeInterval(times: number[], fallback: number): number {
  const gaps = times.slice(1).map((t, i) => t - (times[i] ?? t));
  if (gaps.length === 0) return fallback;
  gaps.sort((a, b) => a - b);
  return Math.max(1, Math.round(gaps[Math.floor(gaps.length / 2)] ?? fallback));
}

export interface Span {
  start: number;
  end: number;
  step: number;
}

/** alignedSpan ends at the last whole step before end, so that a refresh moves the window and not the points in it. */
export function alignedSpan(end: number, range: number, step: number): Span {
  const last = Math.floor(end / step) * step;
  return { start: last - Math.max(1, Math.floor(range / step)) * step, end: last, step };
}

const two = (n: number) => String(n).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const clock = (t: number): string => {
  const d = new Date(t * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};

export const day = (t: number): string => {
  const d = new Date(t * 1000);
  return `${d.getDate()} ${months[d.getMonth()]}`;
};

/** axisTimes labels a time axis in local time: the day where it begins, the hour and minute elsewhere. */
export function axisTimes(splits: number[], step: number): string[] {
  return splits.map((t) => {
    const d = new Date(t * 1000);
    const midnight = d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0;
    if (step >= 86400 || midnight) return day(t);
    return step < 60 ? clock(t) : clock(t).slice(0, 5);
  });
}

/** toLocalInput and fromLocalInput translate for <input type="datetime-local">, which knows no zone. */
export function toLocalInput(t: number | null): string {
  if (t === null) return "";
  const d = new Date(t * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${clock(t)}`;
}

export function fromLocalInput(text: string): number | null {
  const ms = new Date(text).getTime();
  return text === "" || Number.isNaN(ms) ? null : ms / 1000;
}

/** parseTime reads a point in time from an address: RFC 3339 or seconds since the epoch; null means now. */
export function parseTime(text: string | null): number | null {
  if (!text) return null;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms / 1000;
}

export const writeTime = (t: number | null): string | null =>
  t === null ? null : new Date(Math.round(t) * 1000).toISOString().replace(".000Z", "Z");
