// Node: one host, its numbers of now and its charts, its pods, its disks and interfaces.

import { api } from "../connection";
import { type Device, type Disk, type Interface, type Node as NodeRow, type NodeDetails, type Pods } from "../fleet";
import { HeadRow } from "../head";
import { Foot, listParams } from "../list";
import { useLoad } from "../load";
import { Share } from "../meter";
import { PanelSet, useTime } from "../panelset";
import { panels } from "../panels";
import { PodList } from "../podlist";
import { absent, format } from "../units";
import { nodeSelector } from "../selectors";
import { Failure, Waiting } from "../widgets";
import { href } from "../router";
import { nodeStates } from "./fleet";

export type Which = Record<"cluster" | "job" | "instance" | "node", string | null>;

export function Node({ params }: { params: URLSearchParams }) {
  const get = (name: string) => params.get(name);
  return <NodeView params={params} which={{ cluster: get("cluster"), job: get("job"), instance: get("instance"), node: get("node") }} />;
}

export function NodeView({ params, which }: { params: URLSearchParams; which: Which }) {
  const [time, controls] = useTime("node", params);
  const subject = JSON.stringify(which);
  const load = useLoad<NodeDetails>(subject, String(time.end), (signal) => api.page("node", { ...which, at: time.time }, signal));
  const { data, error } = load;
  const node = data?.node;
  const asked = { ...listParams(params), node: node?.kube || null, cluster: node?.cluster ?? null };
  const pods = useLoad<Pods>(`pods of ${subject}`, node?.kube ? JSON.stringify([asked, time.end]) : null, (signal) => api.page("pods", asked, signal));
  return (
    <>
      <div class="bar">
        <Title node={node} />
        <span class="grow" />
        {controls}
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Looking for the node …" />
      {node && <Why node={node} />}
      {node?.kube && pods.data && pods.data.states.sick !== 0 && <Sick pods={pods.data} node={node} />}
      {node?.instance && (
        <PanelSet
          key={subject}
          panels={panels}
          sel={nodeSelector(node)}
          pulse="node_uname_info"
          time={time}
          head={(window, ready) => <HeadRow name={node.name} sel={nodeSelector(node)} time={time.end} window={window} ready={ready} />}
        />
      )}
      {node && !node.instance && (
        <p class="note warn">Nothing scrapes node-agent (or node_exporter) on this node: what it tells of the host is missing here.</p>
      )}
      {node?.kube && (
        <section class="part" id="pods">
          <PodList load={pods} params={params} without={["node"]} title={<h2>Pods</h2>} />
        </section>
      )}
      {data && data.disks.length > 0 && <Disks disks={data.disks} />}
      {data && data.devices.length > 0 && <Devices devices={data.devices} />}
      {data && data.interfaces.length > 0 && <Interfaces interfaces={data.interfaces} />}
      {data && <Foot cost={data.cost} />}
    </>
  );
}

function Title({ node }: { node: NodeRow | undefined }) {
  if (!node) return <h1>Node</h1>;
  const facts = [node.instance ?? node.ip, node.cluster, node.os, node.kubelet && `kubelet ${node.kubelet}`];
  return (
    <h1>
      <i class={`dot ${node.state}`} aria-label={nodeStates.find(([s]) => s === node.state)?.[1] ?? ""} role="img" />
      {node.name} <small>{facts.filter(Boolean).join(" · ")}</small>
    </h1>
  );
}

function Why({ node }: { node: NodeRow }) {
  const why = node.why?.filter((w) => !w.endsWith("of its pods in trouble")); // that is said below, and leads there
  if (!why?.length) return null;
  return <p class={`note why ${node.state === "down" ? "bad" : "warn"}`}>{why.join(" · ")}</p>;
}

/** Sick leads to the pods in trouble, above everything else. */
function Sick({ pods, node }: { pods: Pods; node: NodeRow }) {
  const n = pods.states.sick ?? 0;
  return (
    <p>
      <a class="alarm" href={href("pods", { node: node.kube, cluster: node.cluster, state: "sick" })}>
        {n} {n === 1 ? "pod" : "pods"} in trouble on this node
      </a>
    </p>
  );
}

function Disks({ disks }: { disks: Disk[] }) {
  return (
    <section class="part" id="disks">
      <h2>Filesystems</h2>
      <div class="scroll">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Mounted at</th>
              <th scope="col">Device</th>
              <th scope="col">Type</th>
              <th scope="col" class="right">Used</th>
              <th scope="col" class="right">Free</th>
              <th scope="col" class="right">Size</th>
              <th scope="col" class="right">Inodes</th>
            </tr>
          </thead>
          <tbody>
            {disks.map((d) => (
              <tr key={`${d.device} ${d.mountpoint}`}>
                <td>
                  {d.mountpoint}
                  {d.readonly && <small class="bad"> read-only</small>}
                </td>
                <td>{d.device}</td>
                <td>{d.type}</td>
                <td class="right">
                  <Share value={d.size && d.avail !== undefined ? 1 - d.avail / d.size : null} />
                </td>
                <td class="right">{format("bytes", d.avail)}</td>
                <td class="right">{format("bytes", d.size)}</td>
                <td class="right">{format("percent", d.inodes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Devices({ devices }: { devices: Device[] }) {
  return (
    <section class="part" id="devices">
      <h2>Disks</h2>
      <div class="scroll">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col" class="right">Busy</th>
              <th scope="col" class="right">Read</th>
              <th scope="col" class="right">Written</th>
            </tr>
          </thead>
          <tbody>
            {devices.map((d) => (
              <tr key={d.name}>
                <td>{d.name}</td>
                <td class="right">
                  <Share value={d.busy} />
                </td>
                <td class="right">{format("bytes/s", d.read)}</td>
                <td class="right">{format("bytes/s", d.written)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function Interfaces({ interfaces }: { interfaces: Interface[] }) {
  const errors = (v: number | null) => (v === null ? absent : v > 0 ? <span class="bad">{format("ops/s", v)}</span> : "0");
  const facts = interfaces.some((i) => i.state || i.speed !== null || i.mtu !== null);
  return (
    <section class="part" id="interfaces">
      <h2>Interfaces</h2>
      <div class="scroll">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Name</th>
              {facts && <th scope="col">State</th>}
              {facts && <th scope="col" class="right">Speed</th>}
              {facts && <th scope="col" class="right">MTU</th>}
              <th scope="col" class="right">Received</th>
              <th scope="col" class="right">Sent</th>
              <th scope="col" class="right">Errors</th>
              <th scope="col" class="right">Dropped</th>
            </tr>
          </thead>
          <tbody>
            {interfaces.map((i) => (
              <tr key={i.name}>
                <td>{i.name}</td>
                {facts && <td>{i.state ?? absent}</td>}
                {facts && <td class="right">{i.speed === null ? absent : `${format("number", i.speed * 8)}bit/s`}</td>}
                {facts && <td class="right">{i.mtu ?? absent}</td>}
                <td class="right">{format("bytes/s", i.receive)}</td>
                <td class="right">{format("bytes/s", i.transmit)}</td>
                <td class="right">{errors(i.errors)}</td>
                <td class="right">{errors(i.drops)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
