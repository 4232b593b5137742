// Status: what runs here, with which flags and which configuration, and what it has stored.

import { api } from "../connection";
import { useLoad, useNow } from "../load";
import { change } from "../router";
import { clock, day } from "../time";
import { format, span } from "../units";
import { Choice, Failure, Renew, Waiting } from "../widgets";

type Facts = Record<string, string | number | boolean>;

interface Block {
  ulid: string;
  minTime: number;
  maxTime: number;
  stats: { numSamples?: number; numSeries?: number; numChunks?: number };
  compaction: { level: number };
}

interface Aside {
  kind: string;
  name: string;
  time: string;
  reason: string;
}

/** Trouble is what is not as it should be with the storage. */
interface Trouble {
  setAside: Aside[] | null;
  inMemory?: number;
  since?: string;
}

interface Answer {
  runtime: Facts;
  build: Facts;
  head: { headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number } };
}

const tabs = [
  ["", "Program"],
  ["config", "Configuration"],
  ["flags", "Flags"],
  ["storage", "Storage"],
] as const;

export function Status({ params }: { params: URLSearchParams }) {
  const [now, renew] = useNow(0);
  const tab = params.get("tab") ?? "";
  return (
    <>
      <div class="bar">
        <h1>Status</h1>
        <Choice label="Show" value={tab} onChange={(t) => change({ tab: t || null })} options={tabs} />
        <span class="grow" />
        <Renew onClick={renew} />
      </div>
      <Notices now={now} />
      {tab === "" && <Program now={now} />}
      {tab === "config" && <Config now={now} />}
      {tab === "flags" && <Flags now={now} />}
      {tab === "storage" && <Storage now={now} />}
    </>
  );
}

// What the program wants people to know: a full disk, a configuration that was not taken over, an endpoint that stores nothing.
function Notices({ now }: { now: number }) {
  const load = useLoad<{ text: string; date: string; active: boolean }[] | null>("notices", String(now), (signal) => api.v1("notifications", {}, signal));
  return (
    <>
      {(load.data ?? [])
        .filter((n) => n.active)
        .map((n) => (
          <p class="failure" role="alert" key={n.text}>
            {n.text} Since {moment(Date.parse(n.date))}.
          </p>
        ))}
    </>
  );
}

const names: Record<string, string> = {
  startTime: "Started",
  serverTime: "Its clock",
  CWD: "Working directory",
  hostname: "Host",
  reloadConfigSuccess: "Configuration taken over",
  lastConfigTime: "Configuration of",
  corruptionCount: "Corruptions of the log",
  goroutineCount: "Goroutines",
  storageRetention: "Samples are kept for",
  version: "Engine, as Prometheus",
  goVersion: "Go",
};

function Program({ now }: { now: number }) {
  const load = useLoad<Answer>("program", String(now), async (signal) => {
    const [runtime, build, head] = await Promise.all([
      api.v1<Facts>("status/runtimeinfo", {}, signal),
      api.v1<Facts>("status/buildinfo", {}, signal),
      api.v1<Answer["head"]>("status/tsdb", { limit: 1 }, signal),
    ]);
    return { runtime, build, head };
  });
  const { data, error } = load;
  const rows: [string, string][] = [];
  if (data) {
    const h = data.head.headStats;
    const ownVersion = document.querySelector<HTMLMetaElement>('meta[name="version"]')?.content;
    if (ownVersion) rows.push(["Watchpost", ownVersion]);
    for (const [k, v] of Object.entries({ ...data.build, ...data.runtime })) if (v !== "") rows.push([names[k] ?? k, say(k, v)]);
    rows.push(["Series in memory", h.numSeries.toLocaleString("en")], ["Chunks in memory", h.chunkCount.toLocaleString("en")]);
    if (h.maxTime > 0 && h.numSeries > 0) rows.push(["In memory since", moment(h.minTime)], ["Newest sample", moment(h.maxTime)]);
  }
  return (
    <>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Asking the program …" />
      {data && <Table rows={rows} />}
    </>
  );
}

const moment = (ms: number): string => `${day(ms / 1000)} ${clock(ms / 1000)}`;

function say(name: string, v: string | number | boolean): string {
  if (typeof v === "boolean") return v ? "yes" : "no";
  if (/Time$/.test(name) && typeof v === "string") {
    const ms = Date.parse(v);
    if (ms > 0) return name === "startTime" ? `${moment(ms)}, ${span((Date.now() - ms) / 1000)} ago` : moment(ms);
  }
  if (name === "GOMEMLIMIT" && typeof v === "number") return v > 2 ** 60 ? "none" : format("bytes", v);
  return String(v);
}

function Table({ rows }: { rows: [string, string][] }) {
  return (
    <div class="scroll">
      <table class="plain facts">
        <tbody>
          {rows.map(([k, v]) => (
            <tr key={k}>
              <th scope="row">{k}</th>
              <td>{v}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Config({ now }: { now: number }) {
  const load = useLoad<{ yaml: string }>("config", String(now), (signal) => api.v1("status/config", {}, signal));
  return (
    <>
      {load.error && <Failure error={load.error} />}
      <Waiting load={load} text="Reading the configuration …" />
      {load.data && (
        <pre class="raw" tabIndex={0}>
          {load.data.yaml}
        </pre>
      )}
    </>
  );
}

function Flags({ now }: { now: number }) {
  const load = useLoad<Record<string, string>>("flags", String(now), (signal) => api.v1("status/flags", {}, signal));
  return (
    <>
      {load.error && <Failure error={load.error} />}
      <Waiting load={load} text="Reading the flags …" />
      {load.data && <Table rows={Object.entries(load.data).map(([k, v]) => [`--${k}`, v])} />}
    </>
  );
}

function Storage({ now }: { now: number }) {
  const load = useLoad<{ blocks: Block[] | null } & Trouble>("blocks", String(now), async (signal) => {
    const [{ blocks }, trouble] = await Promise.all([
      api.v1<{ blocks: Block[] | null }>("status/tsdb/blocks", {}, signal),
      api.page<Trouble>("storage", {}, signal),
    ]);
    return { blocks, ...trouble };
  });
  const blocks = (load.data?.blocks ?? []).toReversed();
  const aside = load.data?.setAside ?? [];
  return (
    <>
      {load.error && <Failure error={load.error} />}
      <Waiting load={load} text="Reading the storage …" />
      {load.data?.since && (
        <p class="note bad">
          The disk is full: since {moment(Date.parse(load.data.since))} samples are in memory alone ({(load.data.inMemory ?? 0).toLocaleString("en")} by now). They are lost when the
          program ends; free some space.
        </p>
      )}
      {aside.length > 0 && (
        <>
          <p class="note warn">What could not be read was set aside; the rest is served. It stays in the folder set-aside of the data directory until you remove it.</p>
          <div class="scroll">
            <table class="plain">
              <thead>
                <tr>
                  <th scope="col">Set aside</th>
                  <th scope="col">When</th>
                  <th scope="col">Why</th>
                </tr>
              </thead>
              <tbody>
                {aside.map((a) => (
                  <tr key={a.name}>
                    <td>
                      <code>{a.name}</code>
                    </td>
                    <td>{moment(Date.parse(a.time))}</td>
                    <td>{a.reason}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
      {load.data && blocks.length === 0 && <p class="empty">No block is written yet: the newest hours are in memory and in the log.</p>}
      {blocks.length > 0 && (
        <div class="scroll">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Block</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" class="right">Samples</th>
                <th scope="col" class="right">Series</th>
                <th scope="col" class="right">Merged</th>
              </tr>
            </thead>
            <tbody>
              {blocks.map((b) => (
                <tr key={b.ulid}>
                  <td>
                    <code>{b.ulid}</code>
                  </td>
                  <td>{moment(b.minTime)}</td>
                  <td>{moment(b.maxTime)}</td>
                  <td class="right">{b.stats.numSamples?.toLocaleString("en")}</td>
                  <td class="right">{b.stats.numSeries?.toLocaleString("en")}</td>
                  <td class="right">{b.compaction.level - 1}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
