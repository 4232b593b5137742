// How a number is written: three significant digits and the unit that suits its size. A value that is not there is an
// en dash, never NaN or 0.

export type Unit = "percent" | "bytes" | "bytes/s" | "ops/s" | "seconds" | "number";

export const absent = "–";

const iec = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const si = ["", "k", "M", "G", "T", "P"];

/** significant writes v with at most three significant digits, without an exponent and without trailing zeros. */
function significant(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0";
  const decimals = a >= 99.95 ? 0 : a >= 9.995 ? 1 : a >= 0.9995 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(a)));
  const s = v.toFixed(decimals);
  return decimals === 0 ? s : s.replace(/\.?0+$/, "");
}

/** power is the index of the largest step of the ladder that |v| reaches, within 0..top. */
function power(v: number, base: number, top: number): number {
  let p = 0;
  // 999.5 would be written 1000: it belongs to the next step already.
  for (let a = Math.abs(v); a >= (base === 1000 ? 999.5 : 1023.5) && p < top; a /= base) p++;
  return p;
}

function scaled(v: number, base: number, names: string[]): string {
  const p = power(v, base, names.length - 1);
  return [significant(v / base ** p), names[p]].filter(Boolean).join(base === 1024 ? " " : "");
}

function percent(ratio: number): string {
  const v = ratio * 100;
  const a = Math.abs(v);
  const decimals = a >= 99.95 || a === 0 ? 0 : a >= 0.095 ? 1 : 2;
  const s = v.toFixed(decimals);
  return `${a !== 0 && Number(s) === 0 ? `<${v < 0 ? "-" : ""}0.01` : s}%`;
}

function seconds(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0 s";
  if (a < 1e-6) return `${significant(v * 1e9)} ns`;
  if (a < 1e-3) return `${significant(v * 1e6)} µs`;
  if (a < 1) return `${significant(v * 1e3)} ms`;
  if (a < 120) return `${significant(v)} s`;
  return (v < 0 ? "-" : "") + span(a);
}

/** format writes v in its unit; null, undefined and what is not finite are absent. */
export function format(unit: Unit, v: number | null | undefined): string {
  if (v == null || !Number.isFinite(v)) return absent;
  switch (unit) {
    case "percent":
      return percent(v);
    case "bytes":
      return scaled(v, 1024, iec);
    case "bytes/s":
      return `${scaled(v, 1024, iec)}/s`;
    case "ops/s":
      return `${scaled(v, 1000, si)}/s`;
    case "seconds":
      return seconds(v);
    case "number":
      return Math.abs(v) < 1e-6 && v !== 0 ? v.toExponential(2) : scaled(v, 1000, si);
  }
}

/** span writes a duration in its two largest parts: 3d 4h, 5m 20s, 12s. */
export function span(sec: number): string {
  const parts: [string, number][] = [
    ["d", 86400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  let left = Math.max(0, Math.floor(sec));
  const out: string[] = [];
  for (const [name, size] of parts) {
    const n = Math.floor(left / size);
    if (n === 0 && out.length === 0 && size > 1) continue;
    if (n > 0 || out.length === 0) out.push(`${n}${name}`);
    left -= n * size;
    if (out.length === 2 || n === 0) break;
  }
  return out.join(" ");
}

const decimalSteps = ladder(-9, 18, [1, 2, 2.5, 5]);
const binarySteps = [1, 2, 5, 10, 20, 50, 100, 200, 256, 512].concat(
  Array.from({ length: 52 }, (_, i) => 2 ** (i + 10)),
);

/** ladder lists m x 10^e for each exponent and each mantissa, rising. */
function ladder(from: number, to: number, mantissas: number[]): number[] {
  const out: number[] = [];
  for (let e = from; e <= to; e++) for (const m of mantissas) out.push(Number(`${m}e${e}`));
  return out;
}

/** axisSteps are the distances an axis of this unit may have between two lines. */
export function axisSteps(unit: Unit): number[] {
  return unit === "bytes" || unit === "bytes/s" ? binarySteps : decimalSteps;
}

/** axisLabels writes the values of one axis in ONE unit and with as many decimals as the step needs. */
export function axisLabels(unit: Unit, splits: number[], step: number): string[] {
  const top = splits.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const decimals = (by: number) => {
    for (let d = 0; d < 9; d++) if (Math.abs((step / by) * 10 ** d - Math.round((step / by) * 10 ** d)) < 1e-6) return d;
    return 9;
  };
  const write = (by: number, name: string) => {
    const d = decimals(by);
    return splits.map((v) => `${trimZero(Math.abs(v) / by, d)}${v === 0 && unit !== "percent" ? "" : name}`);
  };
  switch (unit) {
    case "percent":
      return write(0.01, "%");
    case "bytes":
    case "bytes/s": {
      const p = power(top, 1024, iec.length - 1);
      return write(1024 ** p, ` ${iec[p]}`);
    }
    case "ops/s":
    case "number": {
      const p = power(top, 1000, si.length - 1);
      const labels = write(1000 ** p, si[p] ?? "");
      // Plain numbers keep their sign; the other units use the space below zero for the opposite direction.
      return unit === "ops/s" ? labels : labels.map((s, i) => ((splits[i] ?? 0) < 0 ? `-${s}` : s));
    }
    case "seconds":
      return splits.map((v) => (v === 0 ? "0" : seconds(v)));
  }
}

function trimZero(v: number, decimals: number): string {
  return v === 0 ? "0" : v.toFixed(decimals);
}
