// Fleet: every node with its state and its numbers of now. Where there is but one node, this is the view of that node.

import { api } from "../connection";
import { useMoment } from "../controls";
import { nodeHref, type Node, type Nodes } from "../fleet";
import { Filter, List, listParams, States, sum, type Column } from "../list";
import { useLoad } from "../load";
import { Share } from "../meter";
import { State } from "../podlist";
import { href } from "../router";
import { absent, format } from "../units";
import { Failure, Waiting } from "../widgets";
import { NodeView } from "./node";

export const nodeStates = [
  ["down", "Down"],
  ["warn", "Look"],
  ["up", "Well"],
] as const;

const columns: Column<Node>[] = [
  {
    name: "Node",
    sort: "name",
    at: "name",
    show: (n) => (
      <>
        <State state={n.state} name={nodeStates.find(([s]) => s === n.state)?.[1] ?? n.state} />
        {n.name}
        {n.cluster && <small> {n.cluster}</small>}
      </>
    ),
  },
  { name: "Why", sort: "state", down: true, at: "why", show: (n) => n.why?.map((w) => <span key={w}>{w}</span>) },
  { name: "CPU", sort: "cpu", right: true, down: true, at: "cpu", show: (n) => <Share value={n.cpu} /> },
  { name: "Memory", sort: "memory", right: true, down: true, at: "memory", show: (n) => <Share value={n.memory} /> },
  { name: "Disk", sort: "disk", right: true, down: true, at: "disk", show: (n) => <Share value={n.disk} /> },
  {
    name: "Network",
    sort: "network",
    right: true,
    down: true,
    at: "network",
    show: (n) =>
      n.receive === null && n.transmit === null ? (
        absent
      ) : (
        <span class="ways">
          <span>↓ {format("bytes/s", n.receive)}</span> <span>↑ {format("bytes/s", n.transmit)}</span>
        </span>
      ),
  },
  { name: "Pressure", sort: "pressure", right: true, down: true, at: "pressure", show: (n) => format("percent", n.pressure) },
  {
    name: "Pods",
    sort: "pods",
    right: true,
    down: true,
    at: "count",
    show: (n) => (n.kube ? <>{n.pods}{n.room !== null && <small> / {n.room}</small>}</> : absent),
  },
  {
    name: "In trouble",
    sort: "sick",
    right: true,
    down: true,
    at: "sick",
    show: (n) =>
      n.sick > 0 && (
        <a class="bad" href={href("pods", { node: n.kube, cluster: n.cluster, state: "sick" })}>
          {n.sick}
        </a>
      ),
  },
];

export function Fleet({ params }: { params: URLSearchParams }) {
  const [end, controls] = useMoment("fleet", params);
  const asked = listParams(params);
  const load = useLoad<Nodes>("nodes", JSON.stringify([asked, end]), (signal) => api.page("nodes", asked, signal));
  const { data, error } = load;
  const only = data?.all === 1 && data.total === 1 ? data.rows[0] : undefined;
  if (only) return <NodeView params={params} which={{ cluster: only.cluster ?? null, job: only.job ?? null, instance: only.instance ?? null, node: only.instance ? null : only.name }} />;
  if (data?.all === 0) return <NoNode />;
  if (!data) {
    return (
      <>
        {error && <Failure error={error} />}
        <Waiting load={load} text="Looking for nodes …" />
      </>
    );
  }
  return (
    <>
      <div class="bar">
        <h1>
          Fleet <small>{data.all.toLocaleString("en")} nodes</small>
        </h1>
        <States params={params} counts={data.states} all={sum(data.states)} states={nodeStates} />
        <Filter params={params} label="Filter by name, address, version" />
        {data.sick > 0 && (
          <a class="alarm" href={href("pods", { state: "sick" })}>
            {data.sick.toLocaleString("en")} of {data.pods.toLocaleString("en")} pods in trouble
          </a>
        )}
        <span class="grow" />
        {controls}
      </div>
      <List
        name="nodes"
        columns={columns}
        load={load}
        params={params}
        keyOf={(n) => `${n.cluster} ${n.job} ${n.instance} ${n.name}`}
        hrefOf={nodeHref}
        waiting="Looking for nodes …"
        empty="No node matches."
      />
    </>
  );
}

function NoNode() {
  return (
    <div class="empty tall">
      <p>No node has reported in the last hour.</p>
      <p>
        This page shows what <code>node-agent</code> (or node_exporter) says of hosts, and <code>state-agent</code> (or
        kube-state-metrics) of a cluster; <a href={href("targets")}>Targets</a> tells whether one is scraped.
      </p>
    </div>
  );
}
