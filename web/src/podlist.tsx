// A list of pods, as it stands in several views.

import type { ComponentChildren } from "preact";
import { appHref, nodeHref, podHref, type Pod, type Pods } from "./fleet";
import { Filter, List, States, sum, type Column } from "./list";
import type { Load } from "./load";
import { Use } from "./meter";

export const podStates = [
  ["sick", "In trouble"],
  ["waiting", "Not ready"],
  ["up", "Well"],
  ["done", "Done"],
  ["unknown", "Unknown"],
] as const;

/** State is a mark and, for eyes that see no colour, a shape and a word. */
export function State({ state, name }: { state: string; name?: string }) {
  return (
    <>
      <i class={`dot ${state}`} aria-hidden="true" />
      <span class="away-from-sight">{name ?? state}: </span>
    </>
  );
}

const all: (Column<Pod> & { id: string })[] = [
  {
    id: "pod",
    name: "Pod",
    sort: "pod",
    at: "name",
    show: (p) => (
      <>
        <State state={p.state} />
        {p.pod}
      </>
    ),
  },
  { id: "why", name: "Trouble", sort: "state", down: true, at: "why", show: (p) => p.why?.map((w) => <span key={w}>{w}</span>) },
  { id: "namespace", name: "Namespace", sort: "namespace", at: "space", show: (p) => p.namespace },
  {
    id: "app",
    name: "Application",
    sort: "app",
    at: "app",
    show: (p) => p.app && <a href={appHref({ ...p, kind: p.kind ?? "", app: p.app })}>{p.app}</a>,
  },
  {
    id: "node",
    name: "Node",
    sort: "node",
    at: "node",
    show: (p) => p.node && <a href={nodeHref({ name: p.node, ...(p.cluster ? { cluster: p.cluster } : {}) })}>{p.node}</a>,
  },
  { id: "ip", name: "Address", sort: "ip", at: "ip", show: (p) => p.ip },
  { id: "restarts", name: "Restarts", sort: "restarts", right: true, down: true, at: "restarts", show: (p) => p.restarts || "" },
  {
    id: "cpu",
    name: "CPU, cores",
    sort: "cpu",
    right: true,
    down: true,
    at: "cpu",
    show: ({ usage: u }) => u && <Use used={u.cpu} request={u.cpuRequest} limit={u.cpuLimit} unit="number" />,
  },
  {
    id: "memory",
    name: "Memory",
    sort: "memory",
    right: true,
    down: true,
    at: "memory",
    show: ({ usage: u }) => u && <Use used={u.memory} request={u.memoryRequest} limit={u.memoryLimit} unit="bytes" />,
  },
];

interface Props {
  load: Load<Pods>;
  params: URLSearchParams;
  /** Columns that say the same in each row. */
  without: string[];
  title: ComponentChildren;
  extra?: ComponentChildren;
}

export function PodList({ load, params, without, title, extra }: Props) {
  const { data } = load;
  const states = podStates.filter(([s]) => s === "sick" || s === "up" || s === "waiting" || (data?.states[s] ?? 0) > 0 || params.get("state") === s);
  return (
    <>
      <div class="bar">
        {title}
        <States params={params} counts={data?.states} all={sum(data?.states)} states={states} />
        <Filter params={params} label="Filter by name, address, trouble" />
        <span class="grow" />
        {extra}
      </div>
      {data && !data.full && data.total > 0 && (
        <p class="note warn">
          No metrics of state-agent (kube_pod_info): pods are those that run, and their states are not known.
        </p>
      )}
      <List
        name="pods"
        columns={all.filter((c) => !without.includes(c.id))}
        load={load}
        params={params}
        keyOf={(p) => `${p.cluster} ${p.namespace} ${p.pod}`}
        hrefOf={podHref}
        waiting="Looking for pods …"
        empty={params.get("q") || params.get("state") ? "No pod matches." : "No pod is known: pods are told by state-agent or cadvisor-proxy."}
      />
    </>
  );
}
