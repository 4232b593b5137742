// Applications: what pods belong to; and one of them, with all its pods.

import { api } from "../connection";
import { useMoment } from "../controls";
import { appHref, type App as AppRow, type AppDetails, type List as Answer } from "../fleet";
import { Filter, Foot, List, listParams, States, sum, type Column } from "../list";
import { useLoad } from "../load";
import { Use } from "../meter";
import { PanelSet, useTime } from "../panelset";
import { appPanels } from "../panels";
import { PodList, podStates, State } from "../podlist";
import { appSelector } from "../selectors";
import { Failure, Waiting } from "../widgets";

const columns: Column<AppRow>[] = [
  {
    name: "Application",
    sort: "app",
    at: "name",
    show: (a) => (
      <>
        <State state={a.state} name={podStates.find(([s]) => s === a.state)?.[1] ?? a.state} />
        {a.app}
      </>
    ),
  },
  { name: "Trouble", sort: "state", down: true, at: "why", show: (a) => a.why && <span>{a.sick > 1 ? `${a.sick} pods, one: ${a.why}` : a.why}</span> },
  { name: "Kind", sort: "kind", at: "kind", show: (a) => a.kind },
  { name: "Namespace", sort: "namespace", at: "space", show: (a) => a.namespace },
  { name: "Well", right: true, at: "ready", show: (a) => <span class={a.ready < a.pods ? "warn" : ""}>{`${a.ready} / ${a.pods}`}</span> },
  { name: "Pods", sort: "pods", right: true, down: true, at: "count", show: (a) => a.pods },
  { name: "Nodes", sort: "nodes", right: true, down: true, at: "nodes", show: (a) => a.nodes },
  { name: "Restarts", sort: "restarts", right: true, down: true, at: "restarts", show: (a) => a.restarts || "" },
];

export function Apps({ params }: { params: URLSearchParams }) {
  const [end, controls] = useMoment("apps", params);
  const asked = listParams(params);
  const load = useLoad<Answer<AppRow>>("apps", JSON.stringify([asked, end]), (signal) => api.page("apps", asked, signal));
  const { data } = load;
  return (
    <>
      <div class="bar">
        <h1>Applications</h1>
        <States params={params} counts={data?.states} all={sum(data?.states)} states={podStates.slice(0, 3)} />
        <Filter params={params} label="Filter by name, namespace, kind, trouble" />
        <span class="grow" />
        {controls}
      </div>
      <List
        name="apps"
        columns={columns}
        load={load}
        params={params}
        keyOf={(a) => `${a.cluster} ${a.namespace} ${a.kind} ${a.app}`}
        hrefOf={appHref}
        waiting="Looking for applications …"
        empty={
          params.get("q") || params.get("state")
            ? "No application matches."
            : "No application is known: state-agent tells which pods belong together (kube_pod_info, kube_replicaset_owner)."
        }
      />
    </>
  );
}

export function App({ params }: { params: URLSearchParams }) {
  const [time, controls] = useTime("app", params);
  const which = Object.fromEntries((["cluster", "namespace", "kind", "app", "label", "value"] as const).map((n) => [n, params.get(n)]));
  const subject = JSON.stringify(which);
  const asked = { ...listParams(params), ...which };
  const load = useLoad<AppDetails>(subject, JSON.stringify([asked, time.end]), (signal) => api.page("app", asked, signal));
  const { data, error } = load;
  const pods = { ...load, data: data?.list, error: undefined };
  return (
    <>
      <div class="bar">
        <h1>
          {data && <i class={`dot ${data.app.state}`} role="img" aria-label={podStates.find(([s]) => s === data.app.state)?.[1] ?? ""} />}
          {which.app ?? which.value}{" "}
          <small>{[which.kind ?? (which.label && `label ${which.label}`), which.namespace, which.cluster].filter(Boolean).join(" · ")}</small>
        </h1>
        <span class="grow" />
        {controls}
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Looking for the application …" />
      {data && (
        <>
          <dl class="facts">
            <div>
              <dt>Well</dt>
              <dd class={data.app.sick > 0 ? "bad" : ""}>
                {data.app.ready} of {data.app.pods} pods
              </dd>
            </div>
            <div>
              <dt>Nodes</dt>
              <dd>{data.app.nodes}</dd>
            </div>
            <div>
              <dt>Restarts</dt>
              <dd>{data.app.restarts}</dd>
            </div>
            <div>
              <dt>CPU, cores</dt>
              <dd>
                <Use used={data.usage.cpu} request={data.usage.cpuRequest} limit={data.usage.cpuLimit} unit="number" />
              </dd>
            </div>
            <div>
              <dt>Memory</dt>
              <dd>
                <Use used={data.usage.memory} request={data.usage.memoryRequest} limit={data.usage.memoryLimit} unit="bytes" />
              </dd>
            </div>
          </dl>
          <PodList load={pods} params={params} without={["app", "namespace"]} title={<h2>Pods</h2>} />
          <PanelSet
            key={subject}
            panels={appPanels}
            sel={appSelector(data.app, data.list.rows)}
            pulse="kube_pod_info"
            time={time}
          />
          <Foot cost={data.cost} />
        </>
      )}
    </>
  );
}
