// Pods: all of them, or those of a node or a namespace.

import { api } from "../connection";
import { useMoment } from "../controls";
import type { Pods as Answer } from "../fleet";
import { listParams } from "../list";
import { useLoad } from "../load";
import { PodList } from "../podlist";
import { change } from "../router";

const narrowing = ["cluster", "namespace", "node", "kind", "app"] as const;

export function Pods({ params }: { params: URLSearchParams }) {
  const [end, controls] = useMoment("pods", params);
  const asked = { ...listParams(params), ...Object.fromEntries(narrowing.map((n) => [n, params.get(n)])) };
  const load = useLoad<Answer>("pods", JSON.stringify([asked, end]), (signal) => api.page("pods", asked, signal));
  const chosen = narrowing.filter((n) => params.get(n));
  return (
    <PodList
      load={load}
      params={params}
      without={[]}
      title={
        <>
          <h1>Pods</h1>
          {chosen.map((n) => (
            <button key={n} type="button" class="live" title={`Not only this ${n}`} onClick={() => change({ [n]: null, page: null })}>
              {n} {params.get(n)} ×
            </button>
          ))}
        </>
      }
      extra={controls}
    />
  );
}
