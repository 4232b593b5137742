// From what the API answers to what a chart draws.

export type Labels = Record<string, string>;

/** One series of a matrix as the API writes it: [seconds, "number"] pairs, or native histograms. */
export interface Series {
  metric: Labels;
  values?: [number, string][];
  histograms?: [number, Histogram][];
}

export interface Histogram {
  count: string;
  sum: string;
}

/** One line of a chart, on the common time grid; null where there is no value. */
export interface Line {
  name: string;
  values: (number | null)[];
  /** Index into the palette. */
  colour: number;
  /** Drawn below zero: the opposite direction (written, transmitted) of a line of the same name. */
  down?: boolean;
}

/** number reads a sample value; what cannot be drawn (NaN, +Inf, -Inf) is a gap. */
export function number(text: string | undefined): number | null {
  const v = Number(text ?? "NaN");
  return Number.isFinite(v) ? v : null;
}

/** grid lists the points in time of a range query. */
export function grid(start: number, end: number, step: number): number[] {
  return Array.from({ length: Math.floor((end - start) / step + 1e-6) + 1 }, (_, i) => start + i * step);
}

/** onGrid places the samples of one series on the grid; a point without a sample stays null. */
export function onGrid(samples: [number, string][], start: number, step: number, length: number): (number | null)[] {
  const out = new Array<number | null>(length).fill(null);
  for (const [t, v] of samples) {
    const i = Math.round((t - start) / step);
    if (i >= 0 && i < length) out[i] = number(v);
  }
  return out;
}

/** stack adds each line to those below it. A hole in one line has no height; a hole in all of them stays a hole. */
export function stack(rows: (number | null)[][]): (number | null)[][] {
  const length = rows[0]?.length ?? 0;
  const sum = new Array<number>(length).fill(0);
  const known = Array.from({ length }, (_, i) => rows.some((r) => r[i] != null));
  return rows.map((row) =>
    row.map((v, i) => {
      sum[i] = (sum[i] ?? 0) + (v ?? 0);
      return known[i] ? (sum[i] ?? null) : null;
    }),
  );
}

/** lonely lists the points with a value and no neighbour: a line cannot show them, a dot can. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const out: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) out.push(i);
  }
  return out;
}

/** legend fills {{label}} places of a template. */
export function legend(template: string, labels: Labels): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? "");
}

/** selector writes a series as PromQL does: name{label="value",...}. */
export function selector(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const inner = Object.entries(rest).map(([k, v]) => `${k}=${quote(v)}`);
  return inner.length > 0 || name === "" ? `${name}{${inner.join(", ")}}` : name;
}

/** quote writes a PromQL string. */
export function quote(s: string): string {
  return `"${s.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;
}

/** peak is the largest distance from zero in a line; it decides which lines are shown when there are too many. */
export function peak(values: (number | null)[]): number {
  return values.reduce<number>((m, v) => Math.max(m, Math.abs(v ?? 0)), 0);
}

/** latest is the value at the end of the grid, or null: an old value is not passed off as a present one. */
export const latest = (values: (number | null)[]): number | null => values[values.length - 1] ?? null;
