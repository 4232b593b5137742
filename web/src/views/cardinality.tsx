// Cardinality: what the series in memory cost, by job, metric and label; and which label makes a metric large.

import { api } from "../connection";
import type { Cost } from "../fleet";
import { Foot } from "../list";
import { useLoad, useNow } from "../load";
import { change, href } from "../router";
import { quote } from "../series";
import { format } from "../units";
import { Choice, Failure, Renew, Waiting } from "../widgets";

interface Stat {
  name: string;
  count: number;
}

interface Answer {
  series: number;
  pairs: number;
  by: string;
  values: Stat[];
  labels: Stat[];
  memory: Stat[];
  biggest: Stat[];
  cost: Cost;
}

interface Metric {
  metric: string;
  series: number;
  cut?: boolean;
  labels: { name: string; values: number; top: Stat[] }[];
}

export function Cardinality({ params }: { params: URLSearchParams }) {
  const [now, renew] = useNow(0);
  const by = params.get("by") ?? "__name__";
  const metric = params.get("metric");
  const load = useLoad<Answer>("cardinality", `${by} ${now}`, (signal) => api.page("cardinality", { by }, signal));
  const { data, error } = load;
  return (
    <>
      <div class="bar">
        <h1>
          Cardinality <small>{data && `${data.series.toLocaleString("en")} series in memory, ${data.pairs.toLocaleString("en")} label pairs`}</small>
        </h1>
        <span class="grow" />
        <Renew onClick={renew} />
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Counting series …" />
      {metric && <OfMetric name={metric} now={now} />}
      {data && data.series === 0 && <p class="empty tall">No series in memory yet.</p>}
      {data && data.series > 0 && (
        <div class="panels">
          <Bars
            id="by"
            title="Series by"
            extra={
              <Choice
                label="Series by"
                value={by}
                onChange={(v) => change({ by: v === "__name__" ? null : v })}
                options={(["__name__", "job", "instance", "namespace", "node"].includes(by) ? ["__name__", "job", "instance", "namespace", "node"] : ["__name__", "job", "instance", "namespace", "node", by]).map(
                  (l) => [l, l === "__name__" ? "metric" : l] as const,
                )}
              />
            }
            rows={data.values}
            whole={data.series}
            hrefOf={(r) =>
              by === "__name__"
                ? href("cardinality", { metric: r.name })
                : href("query", { expr: `topk(50, count by (__name__) ({${by}=${quote(r.name)}}))` })
            }
            empty={`No series has the label ${by}.`}
          />
          <Bars
            id="labels"
            title="Values of each label"
            rows={data.labels}
            hrefOf={(r) => href("cardinality", { by: r.name === "__name__" ? null : r.name })}
            empty="No label."
          />
          <Bars id="memory" title="Memory of each label's values" bytes rows={data.memory} hrefOf={(r) => href("cardinality", { by: r.name === "__name__" ? null : r.name })} empty="No label." />
          <Bars
            id="pairs"
            title="Series by label and value"
            rows={data.biggest}
            whole={data.series}
            hrefOf={(r) => {
              const at = r.name.indexOf("=");
              return href("query", { expr: `topk(50, count by (__name__) ({${r.name.slice(0, at)}=${quote(r.name.slice(at + 1))}}))` });
            }}
            empty="No label."
          />
        </div>
      )}
      {data && <Foot cost={data.cost} />}
    </>
  );
}

interface BarsProps {
  id: string;
  title: string;
  rows: Stat[];
  whole?: number;
  bytes?: true;
  extra?: preact.ComponentChildren;
  hrefOf: (row: Stat) => string;
  empty: string;
}

function Bars({ id, title, rows, whole, bytes, extra, hrefOf, empty }: BarsProps) {
  const most = rows[0]?.count ?? 1;
  return (
    <section class="panel bars" id={`bars-${id}`}>
      <header>
        <h2>{title}</h2>
        {extra}
      </header>
      {rows.length === 0 && <p class="empty">{empty}</p>}
      <ol>
        {rows.map((r) => (
          <li key={r.name}>
            <a href={hrefOf(r)}>{r.name || "(empty)"}</a>
            <span class="right">
              {bytes ? format("bytes", r.count) : r.count.toLocaleString("en")}
              {whole && <small> {format("percent", r.count / whole)}</small>}
            </span>
            <i style={{ width: `${(r.count / most) * 100}%` }} aria-hidden="true" />
          </li>
        ))}
      </ol>
    </section>
  );
}

function OfMetric({ name, now }: { name: string; now: number }) {
  const load = useLoad<Metric>(`metric ${name}`, String(now), (signal) => api.page("cardinality/metric", { name }, signal));
  const { data, error } = load;
  return (
    <section class="part" id="metric">
      <h2>
        <code>{name}</code>{" "}
        <small>
          {data && `${data.cut ? "more than " : ""}${data.series.toLocaleString("en")} series`} · <a href={href("query", { expr: name })}>query</a> ·{" "}
          <a href={href("cardinality")}>close</a>
        </small>
      </h2>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Reading the index …" />
      {data && data.series === 0 && <p class="empty">No series of that name is in memory.</p>}
      {data && data.series > 0 && (
        <div class="scroll">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Label</th>
                <th scope="col" class="right">Values</th>
                <th scope="col">Those of most series</th>
              </tr>
            </thead>
            <tbody>
              {data.labels.map((l) => (
                <tr key={l.name}>
                  <td>
                    <code>{l.name}</code>
                  </td>
                  <td class="right">{l.values.toLocaleString("en")}</td>
                  <td>
                    {l.top.map((t) => (
                      <span class="label" key={t.name}>
                        {t.name} <span>{t.count.toLocaleString("en")}</span>
                      </span>
                    ))}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
