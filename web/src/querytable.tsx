// The Table tab: the value of an expression at one moment, as the API gives it.

import { useState } from "preact/hooks";
import type { Answer, Sample, Value } from "./api";
import { api } from "./connection";
import { useLoad } from "./load";
import { selector, type Histogram, type Labels, type Series } from "./series";
import { clock, day } from "./time";
import { format } from "./units";
import { Failure, Remarks, Waiting } from "./widgets";

/** Series asked for, and drawn at first and with each "more". */
const limit = 10_000;
const page = 250;
/** Samples of a range vector shown for each series: the last ones. */
const samplesShown = 12;

interface Row {
  metric: Labels;
  /** The metric as PromQL writes it. */
  name: string;
  lines: string[];
  /** What the row is sorted by: the last value. */
  value: number;
}

interface Props {
  expr: string;
  end: number;
  time: number | null;
}

export function QueryTable({ expr, end, time }: Props) {
  const load = useLoad<Answer<Value> & { took: number }>(`table ${expr}`, `${end} ${time}`, async (signal) => {
    const began = performance.now();
    const answer = await api.query(expr, end, signal, limit);
    return { ...answer, took: (performance.now() - began) / 1000 };
  });
  const { data, error, loading } = load;
  return (
    <div class={loading ? "loading" : ""} aria-busy={loading}>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Evaluating …" />
      {data && <Remarks answer={data} />}
      {data && <Result value={data.data} key={expr} />}
      {data && <p class="note cost">1 query, {format("seconds", data.took)}</p>}
    </div>
  );
}

function Result({ value }: { value: Value }) {
  const [shown, show] = useState(page);
  const [sort, setSort] = useState<Sort>(null);
  if (value.resultType === "scalar" || value.resultType === "string") {
    const [t, v] = value.result;
    return (
      <p class="single">
        <code>{value.resultType === "string" ? JSON.stringify(v) : v}</code>
        <small>
          {value.resultType} at {day(t)} {clock(t)}
        </small>
      </p>
    );
  }
  const rows = sorted(value.resultType === "vector" ? value.result.map(fromSample) : value.result.map(fromSeries), sort);
  if (rows.length === 0) return <p class="empty">No series: nothing matches at this time.</p>;
  return (
    <>
      <table class="result">
        <caption>
          {rows.length.toLocaleString("en")} series{rows.length >= limit && " or more"}
          {rows.length > shown && `, the first ${shown} shown`}
        </caption>
        <thead>
          <tr>
            <Column name="Series" by="series" sort={sort} onSort={setSort} />
            <Column name="Value" by="value" sort={sort} onSort={setSort} right />
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((r) => (
            <tr key={r.name}>
              <td>
                <SeriesName labels={r.metric} />
              </td>
              <td class="right">
                {r.lines.map((l, i) => (
                  <div key={i}>{l}</div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <button type="button" class="more" onClick={() => show(shown + page)}>
          Show {Math.min(page, rows.length - shown)} more of {(rows.length - shown).toLocaleString("en")}
        </button>
      )}
    </>
  );
}

/** As the API orders them (null): sort() and topk() mean something by it. */
type Sort = { by: "series" | "value"; down: boolean } | null;

function sorted(rows: Row[], sort: Sort): Row[] {
  if (!sort) return rows;
  const order = new Intl.Collator("en", { numeric: true }).compare;
  const compare = (a: Row, b: Row) => (sort.by === "value" ? a.value - b.value : order(a.name, b.name));
  return rows.toSorted(sort.down ? (a, b) => compare(b, a) : compare);
}

interface ColumnProps {
  name: string;
  by: "series" | "value";
  sort: Sort;
  onSort: (s: Sort) => void;
  right?: boolean;
}

/** Column is a heading that sorts: upwards, downwards, not at all. */
function Column({ name, by, sort, onSort, right = false }: ColumnProps) {
  const mine = sort?.by === by ? sort : null;
  const next: Sort = !mine ? { by, down: by === "value" } : mine.down === (by === "value") ? { by, down: !mine.down } : null;
  return (
    <th scope="col" class={right ? "right" : ""} aria-sort={mine ? (mine.down ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => onSort(next)}>
        {name} {mine && (mine.down ? "↓" : "↑")}
      </button>
    </th>
  );
}

/** SeriesName writes a series as PromQL does, the values more visible than the names. */
export function SeriesName({ labels }: { labels: Labels }) {
  const { __name__: name = "", ...rest } = labels;
  const inner = Object.entries(rest);
  return (
    <code class="series">
      {name}
      {(inner.length > 0 || name === "") && "{"}
      {inner.map(([k, v], i) => (
        <span key={k}>
          {i > 0 && ", "}
          <i>{k}</i>="<b>{v}</b>"
        </span>
      ))}
      {(inner.length > 0 || name === "") && "}"}
    </code>
  );
}

/** sortable is a value to compare by; Go writes infinity as +Inf. What is no number comes below all numbers. */
function sortable(text: string): number {
  const v = Number(text.replace("Inf", "Infinity"));
  return Number.isNaN(v) ? -Number.MAX_VALUE : v;
}

const histogram = (h: Histogram) => `histogram: count ${h.count}, sum ${h.sum}`;

function fromSample(s: Sample): Row {
  const text = s.value ? s.value[1] : s.histogram ? histogram(s.histogram[1]) : "";
  return { metric: s.metric, name: selector(s.metric), lines: [text], value: sortable(text) };
}

function fromSeries(s: Series): Row {
  const all = [
    ...(s.values ?? []).map(([t, v]) => ({ t, text: v })),
    ...(s.histograms ?? []).map(([t, h]) => ({ t, text: histogram(h) })),
  ].sort((a, b) => a.t - b.t);
  const last = all.slice(-samplesShown).map(({ t, text }) => `${text}  @ ${day(t)} ${clock(t)}`);
  const earlier = all.length - last.length;
  return {
    metric: s.metric,
    name: selector(s.metric),
    lines: earlier > 0 ? [`${earlier} earlier samples`, ...last] : last,
    value: sortable(all[all.length - 1]?.text ?? ""),
  };
}
