// A set of panels about one thing: how often it is scraped is found out once, and decides steps and windows.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./connection";
import { At, RangeChoice, timeOf, useRefresh, zoom } from "./controls";
import { useLoad, useNow } from "./load";
import { Panel } from "./panel";
import type { Panel as Definition } from "./panels";
import { change, type View } from "./router";
import { alignedSpan, chooseStep, duration, rateWindow, scrapeInterval } from "./time";
import { Renew } from "./widgets";

/** Taken while the scrape interval is not known. */
const usualInterval = 15;

export interface Time {
  range: string;
  seconds: number;
  /** The chosen end, null for now. */
  time: number | null;
  end: number;
}

/** useTime is the stretch of time that the address names, and its controls. */
export function useTime(view: View, params: URLSearchParams): [time: Time, controls: ComponentChildren] {
  const { range, seconds, time } = timeOf(params, "1h");
  const [refresh, control] = useRefresh(view, "15");
  const [now, renew] = useNow(time === null ? refresh : 0);
  const controls = (
    <>
      <RangeChoice value={range} onChange={(r) => change({ range: r })} />
      <span class="together">
        <At time={time} />
        {time === null && control}
        {time === null && <Renew onClick={renew} />}
      </span>
    </>
  );
  return [{ range, seconds, time, end: time ?? now }, controls];
}

interface Props {
  panels: Definition[];
  /** Label matchers of the thing. */
  sel: string;
  /** A metric that each scrape of it brings once. */
  pulse: string;
  time: Time;
  /** Drawn above the panels, told the window of rates. */
  head?: (window: string, ready: boolean) => ComponentChildren;
}

export function PanelSet({ panels, sel, pulse, time: { seconds, time, end }, head }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const first = () => box.current?.firstElementChild as HTMLElement | null;
    const watch = new ResizeObserver(() => setWidth(first()?.clientWidth ?? 0));
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);

  // The raw times of a quarter of an hour tell how often it is scraped.
  const interval = useLoad(sel, String(time), async (signal) => {
    const { data } = await api.query(`${pulse}{${sel}}[15m]`, end, signal, 1);
    const times = data.resultType === "matrix" ? (data.result[0]?.values ?? []).map(([t]) => t) : [];
    return scrapeInterval(times, usualInterval);
  });
  const known = interval.data ?? (interval.error ? usualInterval : undefined);
  const step = chooseStep(seconds, width, known);
  const span = alignedSpan(end, seconds, step);
  const ready = known !== undefined && width > 0;

  return (
    <>
      {head?.(duration(rateWindow(0, known ?? usualInterval)), ready)}
      <div class="panels" ref={box}>
        {panels.map((p) =>
          ready ? (
            <Panel key={p.id} panel={p} host={sel} span={span} window={duration(rateWindow(step, known))} time={time} onSelect={zoom} />
          ) : (
            <section class="panel loading" key={p.id} aria-busy="true" />
          ),
        )}
      </div>
    </>
  );
}
