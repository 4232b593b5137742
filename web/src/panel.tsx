// One panel of the overview: asks its queries, draws its chart, and says so when there is nothing to draw.

import { api } from "./connection";
import { Chart } from "./chart";
import { panelLines, type Lines } from "./lines";
import { useLoad } from "./load";
import { fill, type Panel as Definition } from "./panels";
import { href } from "./router";
import { quote } from "./series";
import { duration, writeTime, type Span } from "./time";
import { Failure } from "./widgets";

/** Names drawn in one panel. */
const most = 10;
/** Series asked for per query: beyond it the API cuts, and says so. */
const limit = 400;
const height = 168;

interface Props {
  panel: Definition;
  /** Label matchers of the host. */
  host: string;
  span: Span;
  window: string;
  /** The chosen end of time, null for now. */
  time: number | null;
  onSelect: (start: number, end: number) => void;
}

interface Loaded extends Lines {
  warnings: string[];
}

export function Panel({ panel, host, span, window, time, onSelect }: Props) {
  const exprs = panel.queries.map((q) => fill(q.expr, host, window));
  const { data, error, loading } = useLoad<Loaded>(host, JSON.stringify([exprs, span]), async (signal) => {
    const answers = await Promise.all(exprs.map((e) => api.queryRange(e, span, signal, limit)));
    const series = answers.map(({ data }) => (data.resultType === "matrix" ? data.result : []));
    return { ...panelLines(panel, series, span, most), warnings: answers.flatMap((a) => a.warnings) };
  });
  const open = href("query", {
    expr: together(panel, exprs),
    tab: "graph",
    range: duration(span.end - span.start),
    time: writeTime(time),
  });
  return (
    <section class={`panel${loading ? " loading" : ""}`} id={`panel-${panel.id}`} aria-busy={loading}>
      <header>
        <h2>
          {panel.title}
          {panel.ways && (
            <small>
              ↑ {panel.ways[0]} ↓ {panel.ways[1]}
            </small>
          )}
        </h2>
        <a class="quiet" href={open} title="Open in Query" aria-label={`${panel.title}: open in Query`}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M6 3H3v10h10v-3M9 3h4v4M13 3 7.5 8.5" />
          </svg>
        </a>
      </header>
      {error && <Failure error={error} />}
      {data && data.lines.length > 0 && (
        <Chart
          title={panel.title}
          times={data.times}
          lines={data.lines}
          unit={panel.unit}
          stacked={panel.stacked}
          atLeast={panel.atLeast}
          atMost={panel.atMost}
          ways={panel.ways}
          height={height}
          sync="overview"
          onSelect={onSelect}
        />
      )}
      {data && data.more > 0 && (
        <p class="note">
          The {most} with the highest peaks; <a href={open}>{data.more} more</a> in Query.
        </p>
      )}
      {data?.warnings.map((w) => <p class="note warn" key={w}>{w}</p>)}
      {data && data.lines.length === 0 && !error && <p class="empty">{nothing(panel)}</p>}
      {!data && !error && <div class="skeleton" style={{ height: `${height}px` }} aria-label="Loading" />}
    </section>
  );
}

/** nothing says why a panel may have nothing to draw. */
function nothing(panel: Definition): string {
  const rates = panel.queries.some((q) => q.expr.includes("rate("));
  return panel.empty + (rates ? " Rates begin with the second scrape." : "");
}

/** together is one expression for all queries of a panel; a label tells their series apart. */
function together(panel: Definition, exprs: string[]): string {
  if (exprs.length === 1) return exprs[0] ?? "";
  const name = (i: number) => panel.ways?.[i] ?? panel.queries[i]?.legend ?? "";
  return exprs.map((e, i) => `label_replace(${e}, "line", ${quote(name(i))}, "", "")`).join("\nor\n");
}
