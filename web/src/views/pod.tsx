// Pod: its containers with what they use beside what they asked for and may use, what happened to it, its network, its
// owners, its node, and what it says of itself.

import { api } from "../connection";
import { appHref, nodeHref, type Container, type PodDetails } from "../fleet";
import { Foot } from "../list";
import { useLoad } from "../load";
import { Use } from "../meter";
import { PanelSet, useTime } from "../panelset";
import { podPanels } from "../panels";
import { podStates } from "../podlist";
import { href } from "../router";
import { quote } from "../series";
import { clock, day } from "../time";
import { absent, format, span } from "../units";
import { podSelector } from "../selectors";
import { Failure, Waiting } from "../widgets";
import { Interfaces } from "./node";

export function Pod({ params }: { params: URLSearchParams }) {
  const [time, controls] = useTime("pod", params);
  const which = { cluster: params.get("cluster"), namespace: params.get("namespace"), pod: params.get("pod") };
  const subject = JSON.stringify(which);
  const load = useLoad<PodDetails>(subject, String(time.end), (signal) => api.page("pod", { ...which, at: time.time }, signal));
  const { data, error } = load;
  return (
    <>
      <div class="bar">
        <h1>
          {data && <i class={`dot ${data.pod.state}`} role="img" aria-label={podStates.find(([s]) => s === data.pod.state)?.[1] ?? ""} />}
          {which.pod ?? "Pod"} <small>{[which.namespace, which.cluster].filter(Boolean).join(" · ")}</small>
        </h1>
        <span class="grow" />
        {controls}
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Looking for the pod …" />
      {data && (
        <>
          {data.pod.why && data.pod.why.length > 0 && <p class={`note why ${data.pod.state === "sick" ? "bad" : "warn"}`}>{data.pod.why.join(" · ")}</p>}
          <Facts data={data} />
          <Containers containers={data.containers} />
          <PanelSet key={subject} panels={podPanels} sel={podSelector(data.pod)} pulse="kube_pod_info" time={time} />
          <Events data={data} />
          {data.interfaces.length > 0 && <Interfaces interfaces={data.interfaces} />}
          <Own data={data} />
          <Foot cost={data.cost} />
        </>
      )}
    </>
  );
}

/** Facts is what the pod belongs to: its owners, its node, its address, its labels. */
function Facts({ data: { pod, owners, node, labels, created, hostIP } }: { data: PodDetails }) {
  return (
    <dl class="facts">
      <div>
        <dt>Belongs to</dt>
        <dd class="chain">
          {owners.length === 0 && "nothing: it was made by hand, or its owner is not told"}
          {owners.toReversed().map((o, i) => (
            <span key={o.kind + o.name}>
              {i > 0 && " › "}
              <small>{o.kind}</small>{" "}
              {i === 0 ? <a href={appHref({ ...pod, kind: o.kind, app: o.name })}>{o.name}</a> : o.name}
            </span>
          ))}
        </dd>
      </div>
      <div>
        <dt>Node</dt>
        <dd>
          {node ? (
            <a href={nodeHref(node)}>
              <i class={`dot ${node.state}`} aria-label={node.state} role="img" />
              {node.name}
            </a>
          ) : (
            (pod.node ?? absent)
          )}{" "}
          {hostIP && <small>{hostIP}</small>}
        </dd>
      </div>
      <div>
        <dt>Address</dt>
        <dd>{pod.ip || absent}</dd>
      </div>
      <div>
        <dt>Phase</dt>
        <dd>{pod.phase || absent}</dd>
      </div>
      <div>
        <dt>Age</dt>
        <dd>{created ? span(Date.now() / 1000 - created / 1000) : absent}</dd>
      </div>
      {labels && Object.keys(labels).length > 0 && (
        <div class="wide">
          <dt>Labels</dt>
          <dd>
            {Object.entries(labels).map(([k, v]) => (
              <a key={k} class="label" href={href("app", { cluster: pod.cluster, namespace: pod.namespace, label: k, value: v })}>
                <span>{k}</span>
                {v}
              </a>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}

function Containers({ containers }: { containers: Container[] }) {
  if (containers.length === 0) return <p class="empty">No container of this pod is told.</p>;
  return (
    <div class="scroll">
      <table class="list containers" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th scope="col">Container</th>
            <th scope="col">State</th>
            <th scope="col" class="right">CPU, cores</th>
            <th scope="col" class="right">Memory</th>
            <th scope="col" class="right">Throttled</th>
            <th scope="col" class="right">Restarts</th>
            <th scope="col">Last end</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {containers.map((c) => (
            <tr key={c.name} role="row">
              <td role="cell" class="name">
                {c.name}
                <small class="image">{c.image}</small>
              </td>
              <td role="cell" class="why">
                <span class={c.reason && c.state !== "running" ? "bad" : ""}>{[c.state, c.state !== "running" && c.reason].filter(Boolean).join(": ") || absent}</span>
                {c.ready === false && <span> not ready</span>}
                {c.started && c.state === "running" && <small> since {moment(c.started)}</small>}
              </td>
              <td role="cell" class="right cpu">
                <Use used={c.cpu} request={c.cpuRequest} limit={c.cpuLimit} unit="number" />
              </td>
              <td role="cell" class="right memory">
                <Use used={c.memory} request={c.memoryRequest} limit={c.memoryLimit} unit="bytes" />
              </td>
              <td role="cell" class={`right throttled${(c.throttled ?? 0) > 0.25 ? " bad" : ""}`}>{format("percent", c.throttled)}</td>
              <td role="cell" class="right restarts">{c.restarts}</td>
              <td role="cell" class="last">
                {c.lastReason ? (
                  <>
                    {c.lastReason}
                    {c.lastExit != null && ` (${c.lastExit})`} {c.lastEnd && <small>{moment(c.lastEnd)}</small>}
                  </>
                ) : (
                  absent
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const moment = (ms: number): string => `${day(ms / 1000)} ${clock(ms / 1000)}`;

function Events({ data }: { data: PodDetails }) {
  return (
    <section class="part" id="events">
      <h2>
        What happened <small>in the last six hours, as the samples tell</small>
      </h2>
      {data.events.length === 0 ? (
        <p class="empty">Nothing changed.</p>
      ) : (
        <ol class="events">
          {data.events.map((e) => (
            <li key={`${e.time} ${e.what}`} class={e.bad ? "bad" : ""}>
              <time>{moment(e.time)}</time> <span>{e.what}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

/** Own is what the pod's own exporter tells, with the way to it. */
function Own({ data: { metrics, pod } }: { data: PodDetails }) {
  const sources = [...new Map(metrics.map((m) => [`${m.job} ${m.instance}`, m])).values()];
  return (
    <section class="part" id="own">
      <h2>
        Its own metrics{" "}
        <small>
          {sources.map((s, i) => (
            <span key={`${s.job} ${s.instance}`}>
              {i > 0 && " · "}
              <a href={href("targets", { q: s.instance || s.job })}>
                {s.job} {s.instance}
              </a>
            </span>
          ))}
        </small>
      </h2>
      {metrics.length === 0 ? (
        <p class="empty">Nothing is scraped from it{pod.ip && ` at ${pod.ip}`}, and no other series has its name.</p>
      ) : (
        <ul class="own">
          {metrics.map((m) => (
            <li key={`${m.job} ${m.instance} ${m.name}`}>
              <a href={href("query", { expr: selectorOf(m), tab: "graph" })}>
                <code>{m.name}</code>
              </a>{" "}
              <small>{m.series === 1 ? "1 series" : `${m.series} series`}</small>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function selectorOf(m: PodDetails["metrics"][number]): string {
  const matchers = [m.job && `job=${quote(m.job)}`, m.instance && `instance=${quote(m.instance)}`].filter(Boolean).join(",");
  const sel = `${m.name}{${matchers}}`;
  return /_(total|count|sum|bucket)$/.test(m.name) ? `rate(${sel}[5m])` : sel;
}
