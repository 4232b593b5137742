// The hosts the collector knows: one for each node_uname_info series, told apart by instance, job and cluster.

import { quote, type Labels } from "./series";

export interface Host {
  labels: Labels;
  /** The host's own name. */
  name: string;
  /** What tells it from another of the same name. */
  where: string;
}

const identity = ["cluster", "job", "instance"];

/** hostsFrom gathers the hosts from the label sets of node_uname_info. */
export function hostsFrom(series: Labels[]): Host[] {
  const by = new Map<string, Host>();
  for (const metric of series) {
    const labels = Object.fromEntries(identity.flatMap((l) => (metric[l] ? [[l, metric[l]]] : [])));
    const where = [metric.instance, metric.cluster].filter(Boolean).join(" · ");
    const host = { labels, name: metric.nodename || metric.instance || "?", where };
    by.set(hostKey(host), host); // a host that changed its name is still one host
  }
  // Two jobs may scrape the same instance: then the job is part of what tells them apart.
  const seen = new Map<string, number>();
  const twin = (h: Host) => h.name + h.where;
  for (const h of by.values()) seen.set(twin(h), (seen.get(twin(h)) ?? 0) + 1);
  const order = new Intl.Collator("en", { numeric: true }).compare;
  return [...by.values()]
    .map((h) => ((seen.get(twin(h)) ?? 0) > 1 ? { ...h, where: `${h.where} · ${h.labels.job ?? ""}` } : h))
    .sort((a, b) => order(a.name, b.name) || order(a.where, b.where));
}

/** hostKey names a host in the address: its matchers. */
export const hostKey = (h: Host): string => matchers(h);

/** matchers select the host's series. */
export function matchers(h: Host): string {
  return Object.entries(h.labels)
    .map(([k, v]) => `${k}=${quote(v)}`)
    .join(",");
}
