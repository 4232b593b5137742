// Which series are those of a node, a pod, an application: label matchers for expressions.

import type { App, Node, Pod } from "./fleet";
import { quote } from "./series";

/** nodeSelector selects what node-agent says of a node. */
export const nodeSelector = (n: Node): string =>
  `cluster=${quote(n.cluster ?? "")},job=${quote(n.job ?? "")},instance=${quote(n.instance ?? "")}`;

/** podSelector selects the series of one pod. */
export const podSelector = (p: Pick<Pod, "cluster" | "namespace" | "pod">): string =>
  `cluster=${quote(p.cluster ?? "")},namespace=${quote(p.namespace)},pod=${quote(p.pod)}`;

/** literal is a regular expression that matches exactly this text. */
const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// How the controllers of Kubernetes name the pods they make: with five letters or digits, or with a number.
const suffixes: Record<string, string> = {
  Deployment: "-[a-z0-9]+-[a-z0-9]{5}",
  ReplicaSet: "-[a-z0-9]{5}",
  DaemonSet: "-[a-z0-9]{5}",
  Job: "-[a-z0-9]{5}",
  CronJob: "-[0-9]+-[a-z0-9]{5}",
  StatefulSet: "-[0-9]+",
};

/**
 * appSelector selects the series of all pods of an application: by the pattern of their names, which finds those that
 * are gone as well; where there is none, by the names of the present ones.
 */
export function appSelector(a: Pick<App, "cluster" | "namespace" | "kind" | "app">, present: Pod[]): string {
  const suffix = suffixes[a.kind];
  const pattern = suffix ? literal(a.app) + suffix : present.map((p) => literal(p.pod)).join("|");
  return `cluster=${quote(a.cluster ?? "")},namespace=${quote(a.namespace)},pod=~${quote(pattern)}`;
}
