// Targets: what is scraped, what fails, and what was dropped and by which rule.

import { useEffect } from "preact/hooks";
import { api } from "../connection";
import { useRefresh } from "../controls";
import type { Cost } from "../fleet";
import { Filter, List, listParams, States, sum, type Column } from "../list";
import { useLoad, useNow } from "../load";
import { change, href } from "../router";
import { Store, useStore } from "../store";
import { absent, format, span } from "../units";
import { Renew, Select } from "../widgets";

export interface TargetRow {
  pool: string;
  state: "down" | "unknown" | "up" | "dropped";
  url?: string;
  labels?: Record<string, string>;
  discovered: Record<string, string>;
  error?: string;
  lastScrape?: number;
  seconds?: number;
  interval?: string;
  droppedBy?: number;
  rule?: string;
}

export interface TargetList {
  states: Record<string, number>;
  total: number;
  rows: TargetRow[];
  cost: Cost;
  forgotten?: number;
}

// One clock for all the "ago" cells: the rest of a row need not be drawn anew each second.
const seconds = new Store(Date.now() / 1000);

export function useSeconds() {
  useEffect(() => {
    const timer = window.setInterval(() => seconds.set(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, []);
}

export function Ago({ since }: { since: number | undefined }) {
  const now = useStore(seconds);
  return <>{since === undefined ? "never" : `${span(now - since / 1000)} ago`}</>;
}

/** targetHref addresses a target: an active one by URL and instance, a dropped one by what it was discovered with. */
export const targetHref = (t: TargetRow): string =>
  href("target", t.url ? { pool: t.pool, url: t.url, instance: t.labels?.instance } : { pool: t.pool, discovered: JSON.stringify(t.discovered) });

const plain = (labels: Record<string, string>) => Object.entries(labels).filter(([k]) => !k.startsWith("__"));

export function LabelList({ labels }: { labels: [string, string][] }) {
  return (
    <>
      {labels.map(([k, v]) => (
        <span class="label" key={k}>
          <span>{k}</span>
          {v}
        </span>
      ))}
    </>
  );
}

const columns: Column<TargetRow>[] = [
  {
    name: "State",
    at: "state",
    show: (t) => (
      <>
        <i class={`dot ${t.state}`} aria-hidden="true" />
        {t.state}
      </>
    ),
  },
  { name: "Job", sort: "pool", at: "job", show: (t) => t.pool },
  {
    name: "Endpoint",
    sort: "url",
    at: "endpoint",
    show: (t) => (
      <>
        {t.url ?? t.discovered.__address__ ?? absent}
        {t.error && <p class="error">{t.error}</p>}
        {t.state === "dropped" && (
          <p class="error">{t.droppedBy ? `dropped by rule ${t.droppedBy}: ${t.rule}` : "dropped; the rules of today would keep it"}</p>
        )}
      </>
    ),
  },
  {
    name: "Labels",
    at: "labels",
    show: (t) => <LabelList labels={t.labels ? plain(t.labels).filter(([k, v]) => !(k === "job" && v === t.pool)) : dropped(t.discovered)} />,
  },
  { name: "Last scrape", sort: "last", right: true, at: "when", show: (t) => t.state !== "dropped" && <Ago since={t.lastScrape} /> },
  { name: "Took", sort: "took", right: true, down: true, at: "took", show: (t) => (t.lastScrape ? format("seconds", t.seconds) : absent) },
];

/** dropped shows a few of the labels a dropped target was found with: names, not annotations. */
function dropped(discovered: Record<string, string>): [string, string][] {
  const kept = Object.entries(discovered).filter(([k]) => /_(name|namespace|node_name|ip|port_number|service|role)$/.test(k));
  return kept.slice(0, 6).map(([k, v]) => [k.replace(/^__meta_/, ""), v]);
}

const states = [
  ["down", "Down"],
  ["unknown", "Unknown"],
  ["up", "Up"],
  ["dropped", "Dropped"],
] as const;

interface Pool {
  name: string;
  active: number;
  down: number;
  dropped: number;
}

export function Targets({ params }: { params: URLSearchParams }) {
  const [refresh, control] = useRefresh("targets", "15");
  const [now, renew] = useNow(refresh);
  useSeconds();
  const asked = { ...listParams(params), pool: params.get("pool") };
  const load = useLoad<TargetList>("targets", JSON.stringify([asked, now]), (signal) =>
    api.page<TargetList>("targets", asked, signal).then((l) => ({ ...l, rows: l.rows ?? [] })),
  );
  const pools = useLoad<Pool[]>("pools", String(Math.floor(now / 60)), (signal) => api.page("targets/pools", {}, signal));
  const { data } = load;
  const active = data && (sum(data.states) ?? 0) - (data.states.dropped ?? 0);
  return (
    <>
      <div class="bar">
        <h1>Targets</h1>
        <States params={params} counts={data?.states} all={active} states={states} />
        <Filter params={params} label="Filter by job, address, label, error" />
        {pools.data && pools.data.length > 1 && (
          <Select
            label="Job"
            value={params.get("pool") ?? ""}
            onChange={(v) => change({ pool: v, page: null })}
            options={[["", "all"] as const, ...pools.data.map((p) => [p.name, `${p.name} (${p.down ? `${p.down} down of ` : ""}${p.active})`] as const)]}
          />
        )}
        <span class="grow" />
        <span class="together">
          {control}
          <Renew onClick={renew} />
        </span>
      </div>
      {params.get("state") === "dropped" && (data?.forgotten ?? 0) > 0 && (
        <p class="note">{data?.forgotten} more were dropped and are not remembered (keep_dropped_targets).</p>
      )}
      <List
        name="targets"
        columns={columns}
        load={load}
        params={params}
        keyOf={(t) => `${t.pool} ${t.url} ${JSON.stringify(t.labels ?? t.discovered)}`}
        hrefOf={targetHref}
        waiting="Loading targets …"
        empty={
          params.get("q") || params.get("state") || params.get("pool")
            ? "No target matches the filter."
            : "Nothing is scraped: no discovery has found a target yet."
        }
      />
    </>
  );
}
