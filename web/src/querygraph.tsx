// The Graph tab: an expression over a stretch of time.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./connection";
import { Chart } from "./chart";
import { zoom } from "./controls";
import { queryLines, type Lines } from "./lines";
import { useLoad } from "./load";
import { alignedSpan, chooseStep, duration, type Span } from "./time";
import { Failure, Remarks } from "./widgets";

/** Series asked for and series drawn. The first is larger so that the page can mostly say how many it leaves out. */
const limit = 500;
const most = 60;
const height = 340;

interface Props {
  expr: string;
  end: number;
  time: number | null;
  /** Seconds. */
  range: number;
}

interface Loaded extends Lines {
  /** Seconds between two points. */
  step: number;
  warnings: string[];
  infos: string[];
  /** The API may have had more than it was asked for. */
  cut: boolean;
  /** Series that hold native histograms, which have no one value to draw. */
  histograms: number;
}

export function QueryGraph({ expr, end, time, range }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 0));
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const step = chooseStep(range, width);
  const span = alignedSpan(end, range, step);
  const key = width > 0 ? JSON.stringify([expr, span, time]) : null;
  // What is asked for the first time is drawn with few points before it is with all: over many series those take seconds.
  const [rough, setRough] = useState<{ key: string; loaded: Loaded } | null>(null);
  const known = useRef("");
  const { data, error, loading } = useLoad<Loaded>(`graph ${expr}`, key, async (signal) => {
    const ask = async (span: Span): Promise<Loaded> => {
      const { data, warnings, infos } = await api.queryRange(expr, span, signal, limit);
      const series = data.resultType === "matrix" ? data.result : [];
      const histograms = series.filter((s) => s.values === undefined).length;
      return { ...queryLines(series, span, most), step: span.step, warnings, infos, histograms, cut: series.length >= limit };
    };
    const question = JSON.stringify([expr, range, time]);
    const few = chooseStep(range, 0);
    if (key !== null && known.current !== question && few > step) setRough({ key, loaded: await ask(alignedSpan(end, range, few)) });
    const all = await ask(span);
    known.current = question;
    return all;
  });
  const shown = rough?.key === key && (loading || error) ? rough?.loaded : data;
  return (
    <div ref={box} class={loading ? "loading" : ""} aria-busy={loading}>
      {error && <Failure error={error} />}
      {shown && <Remarks answer={shown} />}
      {shown && shown.more > 0 && (
        <p class="note">
          The first {most} series are drawn; {shown.cut ? "at least " : ""}
          {shown.more} more are not.
        </p>
      )}
      {shown && shown.histograms > 0 && <p class="note">{shown.histograms} series hold native histograms, which are not drawn.</p>}
      {shown && shown.lines.length === 0 && <p class="empty">No series in this range.</p>}
      {shown && shown.lines.length > 0 && (
        <section class="panel big">
          <header>
            <p class="note">One point every {duration(shown.step)}. Drag to look closer.</p>
          </header>
          <Chart title={expr} times={shown.times} lines={shown.lines} unit="number" height={height} sync="query" onSelect={zoom} />
        </section>
      )}
      {!shown && !error && <div class="skeleton" style={{ height: `${height}px` }} aria-label="Evaluating" />}
    </div>
  );
}
