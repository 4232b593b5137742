// Targets: what is scraped, and what fails.

import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../connection";
import { useRefresh } from "../controls";
import { useLoad, useNow } from "../load";
import { change } from "../router";
import { Store, useStore } from "../store";
import { count, filter, rowsFrom, type Row } from "../targets";
import { absent, format, span } from "../units";
import { Choice, Failure, Renew, Waiting } from "../widgets";

/** Rows drawn at first and with each "more". */
const page = 200;

// One clock for all the "ago" cells: the rest of a row need not be drawn anew each second.
const seconds = new Store(Date.now() / 1000);

export function Targets({ params }: { params: URLSearchParams }) {
  const state = params.get("state") ?? "";
  const words = params.get("q") ?? "";
  const [refresh, control] = useRefresh("targets", "15");
  const [now, renew] = useNow(refresh);
  const load = useLoad("targets", String(now), async (signal) => rowsFrom(await api.targets(signal)));
  const { data, error, loading } = load;
  const [shown, show] = useState(page);
  useEffect(() => show(page), [state, words]);
  useEffect(() => {
    const timer = window.setInterval(() => seconds.set(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, []);

  const rows = useMemo(() => filter(data ?? [], state, words), [data, state, words]);
  const n = useMemo(() => count(data ?? []), [data]);

  return (
    <>
      <div class="bar">
        <h1>Targets</h1>
        <Choice
          label="State"
          value={state}
          onChange={(v) => change({ state: v })}
          options={[
            ["", <Count name="All" n={data?.length} />],
            ["down", <Count name="Down" n={data && n.down} mark="down" />],
            ["unknown", <Count name="Unknown" n={data && n.unknown} mark="unknown" />],
            ["up", <Count name="Up" n={data && n.up} mark="up" />],
          ]}
        />
        <input
          type="search"
          class="filter"
          placeholder="Filter by job, address, label, error"
          aria-label="Filter targets"
          value={words}
          onInput={(e) => change({ q: e.currentTarget.value }, true)}
        />
        <span class="grow" />
        <span class="together">
          {control}
          <Renew onClick={renew} />
        </span>
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Loading targets …" />
      {data && rows.length === 0 && (
        <p class="empty">
          {data.length === 0 ? "Nothing is scraped: no discovery has found a target yet." : "No target matches the filter."}
        </p>
      )}
      {rows.length > 0 && <Table rows={rows.slice(0, shown)} busy={loading} />}
      {rows.length > shown && (
        <button type="button" class="more" onClick={() => show(shown + page)}>
          Show {Math.min(page, rows.length - shown)} more of {rows.length - shown}
        </button>
      )}
    </>
  );
}

function Count({ name, n, mark }: { name: string; n: number | undefined; mark?: string }) {
  return (
    <>
      {mark && <i class={`dot ${mark}`} aria-hidden="true" />}
      {name} <b>{n ?? absent}</b>
    </>
  );
}

// The roles are written out because the narrow layout is made of blocks, which would take them away.
function Table({ rows, busy }: { rows: Row[]; busy: boolean }) {
  return (
    <table class="targets" role="table" aria-busy={busy}>
      <thead role="rowgroup">
        <tr role="row">
          {["State", "Job", "Endpoint", "Labels"].map((h) => (
            <th role="columnheader" scope="col" key={h}>
              {h}
            </th>
          ))}
          <th role="columnheader" scope="col" class="right">
            Last scrape
          </th>
          <th role="columnheader" scope="col" class="right">
            Took
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((r) => (
          <TargetRow key={r.key} row={r} />
        ))}
      </tbody>
    </table>
  );
}

function TargetRow({ row: { target, health, labels, scraped } }: { row: Row }) {
  return (
    <tr role="row" class={health}>
      <td role="cell" class="state">
        <i class={`dot ${health}`} aria-hidden="true" />
        {health}
      </td>
      <td role="cell" class="job">
        {target.scrapePool}
      </td>
      <td role="cell" class="endpoint">
        <a href={target.scrapeUrl} data-leave rel="noreferrer">
          {target.scrapeUrl}
        </a>
        {target.lastError && <p class="error">{target.lastError}</p>}
      </td>
      <td role="cell" class="labels">
        {labels.map(([k, v]) => (
          <span class="label" key={k}>
            <span>{k}</span>
            {v}
          </span>
        ))}
      </td>
      <td role="cell" class="right when">
        <Ago since={scraped} />
      </td>
      <td role="cell" class="right took">
        {scraped === null ? absent : format("seconds", target.lastScrapeDuration)}
      </td>
    </tr>
  );
}

function Ago({ since }: { since: number | null }) {
  const now = useStore(seconds);
  return <>{since === null ? "never" : `${span(now - since)} ago`}</>;
}
