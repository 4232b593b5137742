// Overview: one host, its numbers of now and its charts.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../connection";
import { RangeChoice, timeOf, useRefresh, zoom } from "../controls";
import { HeadRow } from "../head";
import { hostKey, hostsFrom, matchers, type Host } from "../hosts";
import { useLoad, useNow } from "../load";
import { Panel } from "../panel";
import { panels } from "../panels";
import { change, href } from "../router";
import { alignedSpan, chooseStep, clock, day, duration, rateWindow, scrapeInterval } from "../time";
import { Failure, Renew, Select, Waiting } from "../widgets";

/** Taken while the host's scrape interval is not known. */
const usualInterval = 15;
/** How long the list of hosts is good, in seconds. */
const hostsAge = 60;
/** Hosts listed at most. */
const mostHosts = 5000;

export function Overview({ params }: { params: URLSearchParams }) {
  const { range, seconds, time } = timeOf(params, "1h");
  const [refresh, control] = useRefresh("overview", "15");
  const [now, renew] = useNow(time === null ? refresh : 0);
  const end = time ?? now;

  // The list of hosts reaches as far back as the charts: one that fell silent is still to be looked at.
  const hosts = useLoad("hosts", `${range} ${Math.floor(end / hostsAge)}`, async (signal) =>
    hostsFrom(await api.series("node_uname_info", end - seconds, end, signal, mostHosts)),
  );
  const host = choose(hosts.data, params);

  return (
    <>
      <div class="bar">
        <HostSelect hosts={hosts.data ?? []} host={host} />
        <span class="grow" />
        {time !== null && (
          <button type="button" class="live" onClick={() => change({ time: null, range: null })}>
            until {day(time)} {clock(time)} · back to now
          </button>
        )}
        <RangeChoice value={range} onChange={(r) => change({ range: r })} />
        {time === null && (
          <span class="together">
            {control}
            <Renew onClick={renew} />
          </span>
        )}
      </div>
      {hosts.error && <Failure error={hosts.error} />}
      {hosts.data && !host && <NoHost range={range} />}
      <Waiting load={hosts} text="Looking for hosts …" />
      {host && <HostView key={hostKey(host)} host={host} end={end} range={seconds} time={time} />}
    </>
  );
}

function choose(hosts: Host[] | undefined, params: URLSearchParams): Host | undefined {
  const wanted = params.get("host");
  return hosts?.find((h) => hostKey(h) === wanted) ?? hosts?.[0];
}

function HostSelect({ hosts, host }: { hosts: Host[]; host: Host | undefined }) {
  if (!host) return null;
  if (hosts.length === 1) {
    return (
      <h1>
        {host.name} <small>{host.labels.instance}</small>
      </h1>
    );
  }
  const options = hosts.map((h) => [hostKey(h), `${h.name} · ${h.where}`] as const);
  return (
    <>
      <h1 class="away-from-sight">{host.name}</h1>
      <Select label="Host" options={options} value={hostKey(host)} onChange={(v) => change({ host: v })} />
    </>
  );
}

function NoHost({ range }: { range: string }) {
  return (
    <div class="empty tall">
      <p>No host has reported in the last {range}.</p>
      <p>
        This page shows what <code>node-agent</code> (or node_exporter) says of a host; <a href={href("targets")}>Targets</a>{" "}
        tells whether one is scraped.
      </p>
    </div>
  );
}

interface HostProps {
  host: Host;
  end: number;
  range: number;
  time: number | null;
}

function HostView({ host, end, range, time }: HostProps) {
  const sel = matchers(host);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const first = () => box.current?.firstElementChild as HTMLElement | null;
    const watch = new ResizeObserver(() => setWidth(first()?.clientWidth ?? 0));
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);

  // The raw times of a quarter of an hour tell how often the host is scraped.
  const interval = useLoad(sel, String(time), async (signal) => {
    const { data } = await api.query(`node_uname_info{${sel}}[15m]`, end, signal, 1);
    const times = data.resultType === "matrix" ? (data.result[0]?.values ?? []).map(([t]) => t) : [];
    return scrapeInterval(times, usualInterval);
  });
  const known = interval.data ?? (interval.error ? usualInterval : undefined);
  const step = chooseStep(range, width, known);
  const span = alignedSpan(end, range, step);
  const ready = known !== undefined && width > 0;

  return (
    <>
      <HeadRow host={host} sel={sel} time={end} window={duration(rateWindow(0, known ?? usualInterval))} ready={ready} />
      <div class="panels" ref={box}>
        {panels.map((p) =>
          ready ? (
            <Panel
              key={p.id}
              panel={p}
              host={sel}
              span={span}
              window={duration(rateWindow(step, known))}
              time={time}
              onSelect={zoom}
            />
          ) : (
            <section class="panel loading" key={p.id} aria-busy="true" />
          ),
        )}
      </div>
    </>
  );
}
