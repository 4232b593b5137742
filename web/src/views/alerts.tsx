// Alerts and rules: what fires, what waits, what each rule asks, and which rule cannot be evaluated.

import { api } from "../connection";
import { useRefresh } from "../controls";
import { Filter, States } from "../list";
import { useLoad, useNow } from "../load";
import { nodeHref, podHref } from "../fleet";
import { href } from "../router";
import { absent, format, span } from "../units";
import { Choice, Failure, Renew, Waiting } from "../widgets";
import { change } from "../router";
import { LabelList } from "./targets";

interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: "firing" | "pending" | "inactive";
  activeAt?: string;
  value: string;
}

interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  health: "ok" | "err" | "unknown";
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
  duration?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  state?: "firing" | "pending" | "inactive" | "unknown";
  alerts?: Alert[];
}

interface Group {
  name: string;
  file: string;
  interval: number;
  evaluationTime: number;
  rules: Rule[];
}

/** Groups asked for in one piece, and alerts drawn of one rule. */
const groupsAtOnce = 200;
const alertsShown = 50;
const mostGroups = 5000;

async function allGroups(signal: AbortSignal): Promise<Group[]> {
  const groups: Group[] = [];
  let token: string | undefined;
  do {
    const part = await api.v1<{ groups: Group[]; groupNextToken?: string }>("rules", { group_limit: groupsAtOnce, group_next_token: token }, signal);
    groups.push(...part.groups);
    token = part.groupNextToken;
  } while (token && groups.length < mostGroups);
  return groups;
}

const stateOf = (r: Rule): string => (r.health === "err" ? "failing" : r.type === "alerting" ? (r.state ?? "inactive") : "recording");
const order = ["firing", "failing", "pending", "inactive", "recording", "unknown"];

export function Alerts({ params }: { params: URLSearchParams }) {
  const [refresh, control] = useRefresh("alerts", "15");
  const [now, renew] = useNow(refresh);
  const load = useLoad<Group[]>("rules", String(now), allGroups);
  const managers = useLoad<{ activeAlertmanagers: { url: string }[] }>("alertmanagers", String(Math.floor(now / 60)), (signal) => api.v1("alertmanagers", {}, signal));
  const { data, error } = load;
  const words = (params.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const state = params.get("state") ?? "";
  const byGroup = params.get("by") === "group";

  const counts: Record<string, number> = Object.fromEntries(order.map((s) => [s, 0]));
  const rows: { rule: Rule; group: Group; state: string }[] = [];
  for (const group of data ?? []) {
    for (const rule of group.rules) {
      const s = stateOf(rule);
      const text = [rule.name, rule.query, group.name, group.file, rule.lastError ?? "", JSON.stringify(rule.labels ?? {}), ...(rule.alerts ?? []).map((a) => JSON.stringify(a.labels))].join("\n").toLowerCase();
      if (!words.every((w) => text.includes(w))) continue;
      counts[s] = (counts[s] ?? 0) + 1;
      if (state === "" ? byGroup || s !== "recording" : s === state) rows.push({ rule, group, state: s });
    }
  }
  if (!byGroup) rows.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.rule.name < b.rule.name ? -1 : 1));

  return (
    <>
      <div class="bar">
        <h1>Alerts and rules</h1>
        <States
          params={params}
          counts={data && counts}
          all={data && Object.values(counts).reduce((a, b) => a + b, 0) - (byGroup ? 0 : (counts.recording ?? 0))}
          states={[
            ["firing", "Firing"],
            ["pending", "Pending"],
            ["failing", "Failing"],
            ["inactive", "Quiet"],
            ["recording", "Recording"],
          ]}
        />
        <Filter params={params} label="Filter by name, expression, label" />
        <Choice
          label="Order"
          value={byGroup ? "group" : ""}
          onChange={(v) => change({ by: v || null })}
          options={[
            ["", "By state"],
            ["group", "By group"],
          ]}
        />
        <span class="grow" />
        <span class="together">
          {control}
          <Renew onClick={renew} />
        </span>
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Loading rules …" />
      {managers.data && (
        <p class="note">
          {managers.data.activeAlertmanagers.length === 0
            ? "No Alertmanager is known: alerts are shown here and sent nowhere."
            : `Alerts go to ${managers.data.activeAlertmanagers.map((m) => m.url.replace(/\/api\/v2\/alerts$/, "")).join(", ")}.`}
        </p>
      )}
      {data && rows.length === 0 && (
        <p class="empty tall">{data.length === 0 ? "There are no rules: rule_files of the configuration names where they are." : "No rule matches."}</p>
      )}
      <ul class="rules" aria-busy={load.loading}>
        {rows.slice(0, 500).map(({ rule, group, state }, i) => (
          <li key={`${group.file} ${group.name} ${rule.name} ${i}`} class={state}>
            {byGroup && rows[i - 1]?.group !== group && (
              <h2>
                {group.name} <small>{group.file} · each {span(group.interval)} · took {format("seconds", group.evaluationTime)}</small>
              </h2>
            )}
            <RuleRow rule={rule} state={state} group={group} />
          </li>
        ))}
      </ul>
      {rows.length > 500 && <p class="note">The first 500 of {rows.length}; a filter narrows them.</p>}
    </>
  );
}

function RuleRow({ rule: r, state, group }: { rule: Rule; state: string; group: Group }) {
  const active = r.alerts ?? [];
  return (
    <details open={state === "firing" || state === "failing"}>
      <summary>
        <i class={`dot ${state}`} aria-hidden="true" />
        <span class="name">{r.name}</span>
        <small>
          {state}
          {active.length > 0 && ` · ${active.length}`}
          {r.labels?.severity && ` · ${r.labels.severity}`}
        </small>
      </summary>
      <p class="expression">
        <a href={href("query", { expr: r.query, tab: "graph" })}>
          <code>{r.query}</code>
        </a>
      </p>
      {r.lastError && <p class="failure">{r.lastError}</p>}
      <p class="note">
        {r.duration ? `after ${span(r.duration)} · ` : ""}
        group {group.name} · evaluated in {format("seconds", r.evaluationTime)}
        {Date.parse(r.lastEvaluation) > 0 ? "" : " · not evaluated yet"}
      </p>
      {r.annotations && Object.keys(r.annotations).length > 0 && active.length === 0 && <p class="note">{Object.values(r.annotations).join(" · ")}</p>}
      {active.slice(0, alertsShown).map((a) => (
        <div class="alert" key={JSON.stringify(a.labels)}>
          <p>
            <i class={`dot ${a.state}`} aria-label={a.state} role="img" />
            {a.annotations.summary ?? a.annotations.description ?? a.annotations.message ?? r.name}
            <small>
              {" "}
              <About labels={a.labels} />
              {a.state} {a.activeAt ? `for ${span((Date.now() - Date.parse(a.activeAt)) / 1000)}` : absent} · value {format("number", Number(a.value))}
            </small>
          </p>
          <LabelList labels={Object.entries(a.labels).filter(([k]) => k !== "alertname")} />
        </div>
      ))}
      {active.length > alertsShown && <p class="note">{active.length - alertsShown} more.</p>}
    </details>
  );
}

/** About leads from an alert to the pod or the node that it is about. */
function About({ labels }: { labels: Record<string, string> }) {
  const { cluster = "", namespace, pod, node, job, instance } = labels;
  if (namespace && pod) return <a href={podHref({ cluster, namespace, pod })}>the pod · </a>;
  if (node) return <a href={nodeHref({ cluster, name: node })}>the node · </a>;
  if (job === "node" && instance) return <a href={nodeHref({ cluster, name: instance, job, instance })}>the node · </a>;
  return null;
}
