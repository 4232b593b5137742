// What is drawn of a host, a pod and an application: one row, one panel. The metric names are those of node_exporter,
// cAdvisor and kube-state-metrics; the meaning of the kernel's numbers is in proc(5) and the kernel's
// Documentation/admin-guide (iostats.rst, ../accounting/psi.rst).
//
// In the expressions $host stands for the label matchers of the chosen host, pod or application, $w for the window of a rate.

import type { Unit } from "./units";

export interface Query {
  expr: string;
  /** Name of each line; {{label}} is replaced. Lines of the same name share a colour and a legend entry. */
  legend: string;
  /** Draw below zero. */
  down?: true;
}

export interface Panel {
  id: string;
  title: string;
  unit: Unit;
  queries: Query[];
  stacked?: true;
  /** Order of the lines and their colours (places in the palette), lowest first when stacked; others follow by name. */
  order?: [name: string, colour: number][];
  /** The axis reaches at least this value. */
  atLeast?: number;
  /** The axis never goes beyond this value. */
  atMost?: number;
  /** What above and below zero mean. */
  ways?: [up: string, down: string];
  /** Why there may be nothing to draw. */
  empty: string;
}

// Software devices that would count the same bytes again or drown the real ones.
const devices = 'device!~"(z?ram|loop|fd|sr)[0-9]+"';
const networks = 'device!~"lo|veth.+|cali.+|lxc.+|tunl[0-9]+|dummy[0-9]+|ifb[0-9]+|nodelocaldns|kube-ipvs[0-9]+"';
const disks = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs"';

const memoryUsed =
  "node_memory_MemTotal_bytes{$host} - node_memory_MemFree_bytes{$host} - node_memory_Buffers_bytes{$host}" +
  " - node_memory_Cached_bytes{$host} - node_memory_SReclaimable_bytes{$host}";

// As df counts: what only root may fill is neither used nor available.
const diskUsed =
  `(node_filesystem_size_bytes{$host,${disks}} - node_filesystem_free_bytes{$host,${disks}})` +
  ` / (node_filesystem_size_bytes{$host,${disks}} - node_filesystem_free_bytes{$host,${disks}}` +
  ` + node_filesystem_avail_bytes{$host,${disks}})`;

export const panels: Panel[] = [
  {
    id: "cpu",
    title: "CPU by mode",
    unit: "percent",
    stacked: true,
    order: [
      ["system", 0],
      ["user", 1],
      ["nice", 2],
      ["iowait", 3],
      ["irq", 4],
      ["softirq", 5],
      ["steal", 6],
    ],
    atLeast: 0.1,
    atMost: 1,
    queries: [{ expr: 'avg by (mode) (rate(node_cpu_seconds_total{$host,mode!="idle"}[$w]))', legend: "{{mode}}" }],
    empty: "No node_cpu_seconds_total from this host.",
  },
  {
    id: "memory",
    title: "Memory",
    unit: "bytes",
    stacked: true,
    order: [
      ["used", 0],
      ["cached", 1],
      ["buffers", 2],
      ["free", 9],
    ],
    queries: [
      { expr: memoryUsed, legend: "used" },
      { expr: "node_memory_Cached_bytes{$host} + node_memory_SReclaimable_bytes{$host}", legend: "cached" },
      { expr: "node_memory_Buffers_bytes{$host}", legend: "buffers" },
      { expr: "node_memory_MemFree_bytes{$host}", legend: "free" },
    ],
    empty: "No node_memory_* from this host.",
  },
  {
    id: "space",
    title: "Disk space used",
    unit: "percent",
    atLeast: 1,
    atMost: 1,
    queries: [{ expr: `max by (mountpoint) (${diskUsed})`, legend: "{{mountpoint}}" }],
    empty: "No filesystem on a disk is reported for this host.",
  },
  {
    id: "io",
    title: "Disk throughput",
    unit: "bytes/s",
    atLeast: 1024,
    ways: ["read", "written"],
    queries: [
      { expr: `rate(node_disk_read_bytes_total{$host,${devices}}[$w])`, legend: "{{device}}" },
      { expr: `rate(node_disk_written_bytes_total{$host,${devices}}[$w])`, legend: "{{device}}", down: true },
    ],
    empty: "No block device is reported for this host.",
  },
  {
    id: "busy",
    title: "Disk busy",
    unit: "percent",
    atLeast: 0.01,
    atMost: 1,
    queries: [{ expr: `rate(node_disk_io_time_seconds_total{$host,${devices}}[$w])`, legend: "{{device}}" }],
    empty: "No block device is reported for this host.",
  },
  {
    id: "network",
    title: "Network",
    unit: "bytes/s",
    atLeast: 1024,
    ways: ["received", "sent"],
    queries: [
      { expr: `rate(node_network_receive_bytes_total{$host,${networks}}[$w])`, legend: "{{device}}" },
      { expr: `rate(node_network_transmit_bytes_total{$host,${networks}}[$w])`, legend: "{{device}}", down: true },
    ],
    empty: "No network interface is reported for this host.",
  },
  {
    id: "load",
    title: "Load average",
    unit: "number",
    order: [
      ["1 min", 0],
      ["5 min", 1],
      ["15 min", 2],
    ],
    atLeast: 0.5,
    queries: [
      { expr: "node_load1{$host}", legend: "1 min" },
      { expr: "node_load5{$host}", legend: "5 min" },
      { expr: "node_load15{$host}", legend: "15 min" },
    ],
    empty: "No node_load* from this host.",
  },
  {
    id: "pressure",
    title: "Pressure: share of time some task waited",
    unit: "percent",
    order: [
      ["CPU", 0],
      ["I/O", 1],
      ["memory", 2],
    ],
    atLeast: 0.01,
    atMost: 1,
    queries: [
      { expr: "rate(node_pressure_cpu_waiting_seconds_total{$host}[$w])", legend: "CPU" },
      { expr: "rate(node_pressure_io_waiting_seconds_total{$host}[$w])", legend: "I/O" },
      { expr: "rate(node_pressure_memory_waiting_seconds_total{$host}[$w])", legend: "memory" },
    ],
    empty: "This host's kernel reports no pressure (PSI); it is there since Linux 4.20, on some distributions only with psi=1.",
  },
];

// The series of containers, without those of the pod as a whole and of its pause container.
const container = 'container!="",container!="POD"';

// What was asked for and what is allowed, drawn beside the use.
const bounds = (resource: string): Query[] => [
  { expr: `sum(kube_pod_container_resource_requests{$host,resource="${resource}"})`, legend: "request" },
  { expr: `sum(kube_pod_container_resource_limits{$host,resource="${resource}"})`, legend: "limit" },
];
const boundsOrder: [string, number][] = [
  ["limit", 6],
  ["request", 9],
];

const podNetwork = (by: string, legend: string): Panel => ({
  id: "network",
  title: "Network",
  unit: "bytes/s",
  atLeast: 1024,
  ways: ["received", "sent"],
  queries: [
    { expr: `sum by (${by}) (rate(container_network_receive_bytes_total{$host}[$w]))`, legend },
    { expr: `sum by (${by}) (rate(container_network_transmit_bytes_total{$host}[$w]))`, legend, down: true },
  ],
  empty: "No container_network_* of this pod; one on the host's network has none of its own.",
});

export const podPanels: Panel[] = [
  {
    id: "cpu",
    title: "CPU, cores",
    unit: "number",
    order: boundsOrder,
    atLeast: 0.01,
    queries: [{ expr: `sum by (container) (rate(container_cpu_usage_seconds_total{$host,${container}}[$w]))`, legend: "{{container}}" }, ...bounds("cpu")],
    empty: "No container_cpu_usage_seconds_total of this pod.",
  },
  {
    id: "memory",
    title: "Memory, working set",
    unit: "bytes",
    order: boundsOrder,
    atLeast: 1 << 20,
    queries: [{ expr: `sum by (container) (container_memory_working_set_bytes{$host,${container}})`, legend: "{{container}}" }, ...bounds("memory")],
    empty: "No container_memory_working_set_bytes of this pod.",
  },
  podNetwork("interface", "{{interface}}"),
  {
    id: "restarts",
    title: "Restarts",
    unit: "number",
    atLeast: 1,
    queries: [{ expr: "max by (container) (kube_pod_container_status_restarts_total{$host})", legend: "{{container}}" }],
    empty: "No kube_pod_container_status_restarts_total of this pod.",
  },
];

export const appPanels: Panel[] = [
  {
    id: "cpu",
    title: "CPU by pod, cores",
    unit: "number",
    atLeast: 0.01,
    queries: [{ expr: `sum by (pod) (rate(container_cpu_usage_seconds_total{$host,${container}}[$w]))`, legend: "{{pod}}" }],
    empty: "No container_cpu_usage_seconds_total of these pods.",
  },
  {
    id: "memory",
    title: "Memory by pod, working set",
    unit: "bytes",
    atLeast: 1 << 20,
    queries: [{ expr: `sum by (pod) (container_memory_working_set_bytes{$host,${container}})`, legend: "{{pod}}" }],
    empty: "No container_memory_working_set_bytes of these pods.",
  },
  podNetwork("pod", "{{pod}}"),
  {
    id: "restarts",
    title: "Restarts by pod",
    unit: "number",
    atLeast: 1,
    queries: [{ expr: "sum by (pod) (kube_pod_container_status_restarts_total{$host})", legend: "{{pod}}" }],
    empty: "No kube_pod_container_status_restarts_total of these pods.",
  },
];

/** A number at the head of the page. */
export interface Head {
  id: string;
  title: string;
  unit: Unit;
  expr: string;
  /** Shown under the number: its labels fill {{label}}, the value of a second expression fills {{value}}. */
  note?: { text: string; expr?: string; unit?: Unit };
  /** A part of a whole: drawn as a bar that turns to a warning near its end. */
  share?: true;
}

export const heads: Head[] = [
  {
    id: "cpu",
    title: "CPU busy",
    unit: "percent",
    share: true,
    expr: '1 - avg(rate(node_cpu_seconds_total{$host,mode="idle"}[$w]))',
    note: { text: "of {{value}} CPUs", expr: 'count(node_cpu_seconds_total{$host,mode="idle"})', unit: "number" },
  },
  {
    id: "memory",
    title: "Memory used",
    unit: "percent",
    share: true,
    expr: "1 - node_memory_MemAvailable_bytes{$host} / node_memory_MemTotal_bytes{$host}",
    note: { text: "of {{value}}", expr: "node_memory_MemTotal_bytes{$host}", unit: "bytes" },
  },
  {
    id: "disk",
    title: "Fullest disk",
    unit: "percent",
    share: true,
    expr: `topk(1, max by (mountpoint) (${diskUsed}))`,
    note: { text: "{{mountpoint}}" },
  },
  {
    id: "load",
    title: "Load, 1 min",
    unit: "number",
    expr: "node_load1{$host}",
    note: {
      text: "{{value}} per CPU",
      expr: 'node_load1{$host} / scalar(count(node_cpu_seconds_total{$host,mode="idle"}))',
      unit: "number",
    },
  },
  {
    id: "uptime",
    title: "Uptime",
    unit: "seconds",
    expr: "node_time_seconds{$host} - node_boot_time_seconds{$host}",
  },
];

/** fill puts the host's matchers and the rate window into an expression. */
export function fill(expr: string, host: string, window: string): string {
  return expr.replace(/\$(host|w)\b/g, (_, name: string) => (name === "host" ? host : window));
}
