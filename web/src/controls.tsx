// The controls of time: how long a stretch, until when, and how often it is renewed.

import { useRef, useState } from "preact/hooks";
import { useNow } from "./load";
import { change, type View } from "./router";
import { remember } from "./theme";
import { clock, day, duration, fromLocalInput, parseDuration, parseTime, toLocalInput, writeTime } from "./time";
import { Choice, Renew, Select } from "./widgets";

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

/** useMoment is the time that a list is of, its present renewed now and then, and its controls. */
export function useMoment(view: View, params: URLSearchParams): [end: number, controls: preact.JSX.Element] {
  const time = parseTime(params.get("time"));
  const [refresh, control] = useRefresh(view, "15");
  const [now, renew] = useNow(time === null ? refresh : 0);
  return [
    time ?? now,
    <span class="together">
      <At time={time} />
      {time === null && control}
      {time === null && <Renew onClick={renew} />}
    </span>,
  ];
}

/** At chooses a moment of the past, and leads back to the present. */
export function At({ time }: { time: number | null }) {
  const box = useRef<HTMLInputElement>(null);
  const choose = (text: string) => change({ time: writeTime(fromLocalInput(text)), page: null });
  return (
    <>
      {time !== null && (
        <button type="button" class="live" onClick={() => change({ time: null, range: null, page: null })}>
          {day(time)} {clock(time)} · back to now
        </button>
      )}
      <span class="moment">
        <button type="button" class="icon" title="Show another time" aria-label="Show another time" onClick={() => box.current?.showPicker()}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 4.5V8l2.5 1.5" />
          </svg>
        </button>
        <input
          ref={box}
          type="datetime-local"
          tabIndex={-1}
          aria-hidden="true"
          max={toLocalInput(Date.now() / 1000)}
          value={toLocalInput(time)}
          onChange={(e) => choose(e.currentTarget.value)}
        />
      </span>
    </>
  );
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
