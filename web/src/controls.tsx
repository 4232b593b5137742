// The controls of time: how long a stretch, until when, and how often it is renewed.

import { useState } from "preact/hooks";
import { change, type View } from "./router";
import { remember } from "./theme";
import { duration, parseDuration, parseTime, writeTime } from "./time";
import { Choice, Select } from "./widgets";

export const ranges = ["15m", "1h", "6h", "1d", "7d"] as const;
const refreshes = [
  ["0", "off"],
  ["5", "5 s"],
  ["15", "15 s"],
  ["60", "1 min"],
] as const;

/** RangeChoice offers the usual ranges, and the present one if it is not among them. */
export function RangeChoice({ value, onChange }: { value: string; onChange: (v: string) => void }) {
  const length = (r: string) => parseDuration(r) ?? 0;
  const all = [...new Set<string>([...ranges, value])].sort((a, b) => length(a) - length(b));
  return <Choice label="Time range" options={all.map((r) => [r, r] as const)} value={value} onChange={onChange} />;
}

/** useRefresh is a view's number of seconds between two renewals (0: off), kept in the browser, and its control. */
export function useRefresh(view: View, fallback: string): [seconds: number, control: preact.JSX.Element] {
  const key = `watchpost.refresh.${view}`;
  const [value, set] = useState<string>(() => {
    const kept = remember(key);
    return refreshes.some(([v]) => v === kept) ? (kept as string) : fallback;
  });
  const onChange = (v: string) => {
    remember(key, v);
    set(v);
  };
  return [Number(value), <Select label="Refresh" options={refreshes} value={value} onChange={onChange} />];
}

/** timeOf reads range (seconds) and end (null: now) from the address. */
export function timeOf(params: URLSearchParams, fallback: string): { range: string; seconds: number; time: number | null } {
  const text = params.get("range") ?? fallback;
  const seconds = parseDuration(text);
  return { range: seconds ? text : fallback, seconds: seconds ?? parseDuration(fallback) ?? 3600, time: parseTime(params.get("time")) };
}

/** zoom shows the stretch between two points in time. */
export function zoom(start: number, end: number) {
  change({ range: duration(Math.max(60, end - start)), time: writeTime(end) });
}
