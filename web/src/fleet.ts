// What the collector tells its page of nodes, pods and applications (internal/fleet), and how they are addressed.

import { href } from "./router";

export interface Cost {
  queries: number;
  /** Read for those queries. */
  samples: number;
  seconds: number;
  /** Seconds since the storage was asked. */
  age: number;
  missing?: string[];
}

export interface Node {
  cluster?: string;
  name: string;
  job?: string;
  instance?: string;
  kube?: string;
  ip?: string;
  state: "down" | "warn" | "up";
  why?: string[];
  cpu: number | null;
  memory: number | null;
  disk: number | null;
  receive: number | null;
  transmit: number | null;
  pressure: number | null;
  pods: number;
  sick: number;
  room: number | null;
  os?: string;
  kernel?: string;
  kubelet?: string;
}

export interface Usage {
  cpu: number | null;
  cpuRequest: number | null;
  cpuLimit: number | null;
  memory: number | null;
  memoryRequest: number | null;
  memoryLimit: number | null;
}

export type PodState = "sick" | "waiting" | "up" | "done" | "unknown";

export interface Pod {
  cluster?: string;
  namespace: string;
  pod: string;
  ip?: string;
  node?: string;
  kind?: string;
  app?: string;
  phase?: string;
  state: PodState;
  why?: string[];
  restarts: number;
  usage?: Usage;
}

export interface App {
  cluster?: string;
  namespace: string;
  kind: string;
  app: string;
  state: PodState;
  pods: number;
  sick: number;
  ready: number;
  nodes: number;
  restarts: number;
  why?: string;
}

export interface List<T> {
  total: number;
  states: Record<string, number>;
  rows: T[];
  cost: Cost;
}

export interface Nodes extends List<Node> {
  all: number;
  pods: number;
  sick: number;
}

export interface Pods extends List<Pod> {
  full: boolean;
}

export interface Disk {
  device: string;
  mountpoint?: string;
  type?: string;
  size?: number;
  avail?: number;
  readonly?: boolean;
  inodes?: number;
}

export interface Device {
  name: string;
  read: number | null;
  written: number | null;
  busy: number | null;
}

export interface Interface {
  name: string;
  state?: string;
  speed: number | null;
  mtu: number | null;
  receive: number | null;
  transmit: number | null;
  errors: number | null;
  drops: number | null;
}

export interface NodeDetails {
  node: Node;
  disks: Disk[];
  devices: Device[];
  interfaces: Interface[];
  cost: Cost;
}

export interface Container extends Usage {
  name: string;
  image?: string;
  state?: string;
  reason?: string;
  ready?: boolean;
  started?: number;
  restarts: number;
  lastReason?: string;
  lastExit?: number | null;
  lastEnd?: number;
  throttled: number | null;
  disk: number | null;
}

export interface PodDetails {
  pod: Pod;
  node?: Node;
  owners: { kind: string; name: string }[];
  labels?: Record<string, string>;
  created?: number;
  hostIP?: string;
  containers: Container[];
  interfaces: Interface[];
  events: { time: number; what: string; bad?: boolean }[];
  metrics: { name: string; job?: string; instance?: string; series: number }[];
  cost: Cost;
}

export interface AppDetails {
  app: App;
  usage: Usage;
  list: Pods;
  cost: Cost;
}

export interface Hit {
  what: "node" | "pod" | "app";
  cluster?: string;
  namespace?: string;
  kind?: string;
  name: string;
  note?: string;
  state: string;
  job?: string;
  instance?: string;
}

/** nodeHref addresses a node: by its name in Kubernetes, else by what scrapes it. */
export const nodeHref = (n: Pick<Node, "cluster" | "kube" | "name" | "job" | "instance">): string =>
  n.instance ? href("node", { cluster: n.cluster, job: n.job, instance: n.instance }) : href("node", { cluster: n.cluster, node: n.kube || n.name });

export const podHref = (p: Pick<Pod, "cluster" | "namespace" | "pod">): string =>
  href("pod", { cluster: p.cluster, namespace: p.namespace, pod: p.pod });

export const appHref = (a: Pick<App, "cluster" | "namespace" | "kind" | "app">): string =>
  href("app", { cluster: a.cluster, namespace: a.namespace, kind: a.kind, app: a.app });

export function hitHref(h: Hit): string {
  if (h.what === "node") return nodeHref({ ...h, kube: h.name });
  if (h.what === "app") return appHref({ ...h, namespace: h.namespace ?? "", kind: h.kind ?? "", app: h.name });
  return podHref({ ...h, namespace: h.namespace ?? "", pod: h.name });
}
