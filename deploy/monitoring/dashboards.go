package main

// The dashboards. Most panels draw what the recording rules of rules/ keep, so that a
// page costs little however many hosts and pods there are.

var cluster = variable{"cluster", "up", "cluster"}

var dashboards = []dashboard{
	{
		name: "hosts", title: "Hosts", about: "What hosts have, use and wait for, from node-agent.",
		variables: []variable{cluster, {"instance", "node_boot_time_seconds", "instance"}},
		rows: []row{
			{"Now", []panel{
				stat("Hosts", "none", `count(up{job=~"node|node-agent|node-exporter", cluster=~"$cluster", instance=~"$instance"})`),
				stat("Answering", "percentunit", `avg(up{job=~"node|node-agent|node-exporter", cluster=~"$cluster", instance=~"$instance"})`),
				stat("Processors", "none", `sum(instance:node_cpus:count{cluster=~"$cluster", instance=~"$instance"})`),
				stat("Memory", "bytes", `sum(node_memory_MemTotal_bytes{cluster=~"$cluster", instance=~"$instance"})`),
				stat("Fullest file system", "percentunit", `max(instance_mountpoint:node_filesystem_used:ratio{cluster=~"$cluster", instance=~"$instance"})`),
			}},
			{"Use", []panel{
				graph("CPU", "percentunit", series{"{{instance}}", `instance:node_cpu_busy:ratio_rate5m{cluster=~"$cluster", instance=~"$instance"}`}),
				graph("Memory", "percentunit", series{"{{instance}}", `instance:node_memory_used:ratio{cluster=~"$cluster", instance=~"$instance"}`}),
				graph("Load for each processor", "none", series{"{{instance}}", `instance:node_load1_per_cpu:ratio{cluster=~"$cluster", instance=~"$instance"}`}),
			}},
			{"Waiting", []panel{
				graph("Some task waits for a processor", "percentunit", series{"{{instance}}", `instance:node_pressure_cpu_waiting_seconds:rate5m{cluster=~"$cluster", instance=~"$instance"}`}),
				graph("All tasks wait for memory", "percentunit", series{"{{instance}}", `instance:node_pressure_memory_stalled_seconds:rate5m{cluster=~"$cluster", instance=~"$instance"}`}),
				graph("All tasks wait for disks", "percentunit", series{"{{instance}}", `instance:node_pressure_io_stalled_seconds:rate5m{cluster=~"$cluster", instance=~"$instance"}`}),
			}},
			{"Disks and network", []panel{
				graph("Busy disks", "percentunit", series{"{{instance}} {{device}}", `topk(20, instance_device:node_disk_io_time_seconds:rate5m{cluster=~"$cluster", instance=~"$instance"})`}),
				graph("Fullest file systems", "percentunit", series{"{{instance}} {{mountpoint}}", `topk(20, instance_mountpoint:node_filesystem_used:ratio{cluster=~"$cluster", instance=~"$instance"})`}),
				graph("Network", "Bps",
					series{"{{instance}} in", `instance:node_network_receive_bytes:rate5m{cluster=~"$cluster", instance=~"$instance"}`},
					series{"{{instance}} out", `-instance:node_network_transmit_bytes:rate5m{cluster=~"$cluster", instance=~"$instance"}`}),
			}},
		},
	},
	{
		name: "pods", title: "Pods", about: "Containers against what they may use, from cadvisor-proxy and state-agent.",
		variables: []variable{cluster, {"namespace", "kube_pod_info", "namespace"}, {"pod", "kube_pod_info", "pod"}},
		rows: []row{
			{"Now", []panel{
				stat("Pods", "none", `count(kube_pod_info{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`),
				stat("Running", "none", `sum(kube_pod_status_phase{phase="Running", cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`),
				stat("Waiting containers", "none", `sum(kube_pod_container_status_waiting_reason{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`),
				stat("Restarts in an hour", "none", `sum(increase(kube_pod_container_status_restarts_total{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"}[1h]))`),
			}},
			{"CPU", []panel{
				graph("Processors used", "none", series{"{{namespace}}/{{pod}} {{container}}", `topk(20, namespace_pod_container:container_cpu_usage_seconds:rate5m{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
				graph("Of the limit", "percentunit", series{"{{namespace}}/{{pod}} {{container}}", `topk(20, namespace_pod_container:container_cpu_usage_of_limit:ratio_rate5m{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
				graph("Held back", "percentunit", series{"{{namespace}}/{{pod}} {{container}}", `topk(20, namespace_pod_container:container_cpu_cfs_throttled:ratio_rate5m{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
			}},
			{"Memory and network", []panel{
				graph("Memory", "bytes", series{"{{namespace}}/{{pod}} {{container}}", `topk(20, namespace_pod_container:container_memory_working_set_bytes:sum{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
				graph("Of the limit", "percentunit", series{"{{namespace}}/{{pod}} {{container}}", `topk(20, namespace_pod_container:container_memory_of_limit:ratio{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
				graph("Network", "Bps",
					series{"{{namespace}}/{{pod}} in", `topk(20, namespace_pod:container_network_receive_bytes:rate5m{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`},
					series{"{{namespace}}/{{pod}} out", `-topk(20, namespace_pod:container_network_transmit_bytes:rate5m{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"})`}),
			}},
			{"Trouble", []panel{
				table("Waiting, and why", "none", `max by (namespace, pod, container, reason) (kube_pod_container_status_waiting_reason{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"}) == 1`),
				table("How containers ended last", "none", `max by (namespace, pod, container, reason) (kube_pod_container_status_last_terminated_reason{cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"}) == 1`),
			}},
		},
	},
	{
		name: "workloads", title: "Workloads", about: "Deployments, stateful sets, daemon sets and jobs with all their pods.",
		variables: []variable{cluster, {"namespace", "kube_pod_info", "namespace"}},
		rows: []row{
			{"Missing", []panel{
				table("Deployments", "none", `kube_deployment_spec_replicas{cluster=~"$cluster", namespace=~"$namespace"} - kube_deployment_status_replicas_available{cluster=~"$cluster", namespace=~"$namespace"} > 0`),
				table("Stateful sets", "none", `kube_statefulset_replicas{cluster=~"$cluster", namespace=~"$namespace"} - kube_statefulset_status_replicas_ready{cluster=~"$cluster", namespace=~"$namespace"} > 0`),
				table("Daemon sets", "none", `kube_daemonset_status_desired_number_scheduled{cluster=~"$cluster", namespace=~"$namespace"} - kube_daemonset_status_number_ready{cluster=~"$cluster", namespace=~"$namespace"} > 0`),
				table("Failed jobs", "none", `kube_job_failed{condition="true", cluster=~"$cluster", namespace=~"$namespace"} == 1`),
			}},
			{"Use", []panel{
				graph("Processors", "none", series{"{{namespace}}/{{workload}}", `topk(20, namespace_workload:container_cpu_usage_seconds:rate5m{cluster=~"$cluster", namespace=~"$namespace"})`}),
				graph("Memory", "bytes", series{"{{namespace}}/{{workload}}", `topk(20, namespace_workload:container_memory_working_set_bytes:sum{cluster=~"$cluster", namespace=~"$namespace"})`}),
				graph("Pods", "none", series{"{{namespace}}/{{workload}}", `topk(20, namespace_workload:kube_pods:count{cluster=~"$cluster", namespace=~"$namespace"})`}),
			}},
			{"Room", []panel{
				graph("Autoscalers: replicas of the most", "percentunit", series{"{{namespace}}/{{horizontalpodautoscaler}}",
					`kube_horizontalpodautoscaler_status_current_replicas{cluster=~"$cluster", namespace=~"$namespace"} / kube_horizontalpodautoscaler_spec_max_replicas{cluster=~"$cluster", namespace=~"$namespace"}`}),
				graph("Quotas", "percentunit", series{"{{namespace}} {{resource}}",
					`max by (namespace, resourcequota, resource) (kube_resourcequota{type="used", cluster=~"$cluster", namespace=~"$namespace"}) / (max by (namespace, resourcequota, resource) (kube_resourcequota{type="hard", cluster=~"$cluster", namespace=~"$namespace"}) > 0)`}),
				graph("Volumes", "percentunit", series{"{{namespace}}/{{persistentvolumeclaim}}",
					`max by (namespace, persistentvolumeclaim) (1 - kubelet_volume_stats_available_bytes{cluster=~"$cluster", namespace=~"$namespace"} / kubelet_volume_stats_capacity_bytes{cluster=~"$cluster", namespace=~"$namespace"})`}),
			}},
		},
	},
	{
		name: "control-plane", title: "Control plane", about: "Nodes, API servers, scheduler, controller manager and etcd.",
		variables: []variable{cluster},
		rows: []row{
			{"Nodes", []panel{
				stat("Ready", "none", `sum(kube_node_status_condition{condition="Ready", status="true", cluster=~"$cluster"})`),
				stat("Not ready", "none", `sum(kube_node_status_condition{condition="Ready", status=~"false|unknown", cluster=~"$cluster"})`),
				stat("Cordoned", "none", `sum(kube_node_spec_unschedulable{cluster=~"$cluster"})`),
				stat("Fullest of pods", "percentunit", `max(node:kube_pods_of_allocatable:ratio{cluster=~"$cluster"})`),
				stat("Most CPU promised", "percentunit", `max(node:kube_pod_container_resource_requests_cpu_of_allocatable:ratio{cluster=~"$cluster"})`),
			}},
			{"API server", []panel{
				graph("Requests", "reqps", series{"{{verb}}", `sum by (verb) (cluster_verb_code:apiserver_request:rate5m{cluster=~"$cluster"})`}),
				graph("Errors", "percentunit", series{"{{cluster}}", `cluster:apiserver_request_errors:ratio_rate5m{cluster=~"$cluster"}`}),
				graph("Slowest hundredth", "s", series{"{{verb}}", `cluster_verb:apiserver_request_duration_seconds:p99_rate5m{cluster=~"$cluster"}`}),
			}},
			{"Scheduler and controllers", []panel{
				graph("Waiting pods", "none", series{"{{queue}}", `cluster_queue:scheduler_pending_pods:sum{cluster=~"$cluster"}`}),
				graph("Waiting objects", "none", series{"{{name}}", `topk(10, cluster_name:workqueue_depth:max{cluster=~"$cluster"})`}),
			}},
			{"etcd", []panel{
				graph("Members with a leader", "none", series{"", `sum(etcd_server_has_leader{cluster=~"$cluster"})`}),
				graph("Slowest hundredth of writes", "s", series{"{{instance}}", `instance:etcd_disk_wal_fsync_duration_seconds:p99_rate5m{cluster=~"$cluster"}`}),
				graph("Of the quota", "percentunit", series{"{{instance}}", `instance:etcd_mvcc_db_total_size_of_quota:ratio{cluster=~"$cluster"}`}),
			}},
		},
	},
	{
		name: "suite", title: "Watchpost", about: "The suite itself: what it scrapes, stores and costs.",
		variables: []variable{cluster},
		rows: []row{
			{"Now", []panel{
				stat("Targets", "none", `count(up{cluster=~"$cluster"})`),
				stat("Not answering", "none", `count(up{cluster=~"$cluster"} == 0) or vector(0)`),
				stat("Series in memory", "none", `sum(prometheus_tsdb_head_series{cluster=~"$cluster"})`),
				stat("Samples a second", "none", `sum(instance:prometheus_tsdb_head_samples_appended:rate5m{cluster=~"$cluster"})`),
				stat("Failing probes", "none", `count(probe_success{cluster=~"$cluster"} == 0) or vector(0)`),
			}},
			{"Scraping", []panel{
				graph("Answering targets", "percentunit", series{"{{job}}", `job:up:ratio{cluster=~"$cluster"}`}),
				graph("Samples of a scrape", "none", series{"{{job}}", `job:scrape_samples_scraped:sum{cluster=~"$cluster"}`}),
				graph("Slowest scrape", "s", series{"{{job}}", `max by (job) (scrape_duration_seconds{cluster=~"$cluster"})`}),
			}},
			{"Cost", []panel{
				graph("CPU", "none", series{"{{job}} {{instance}}", `topk(20, instance:process_cpu_seconds:rate5m{cluster=~"$cluster"})`}),
				graph("Memory", "bytes", series{"{{job}} {{instance}}", `topk(20, process_resident_memory_bytes{cluster=~"$cluster"})`}),
				graph("Rules", "s", series{"{{rule_group}}", `prometheus_rule_group_last_duration_seconds{cluster=~"$cluster"}`}),
			}},
			{"Storage", []panel{
				stat("Full disks", "none", `sum(watchpost_storage_disk_full{cluster=~"$cluster"})`),
				stat("Damaged parts set aside", "none", `sum(watchpost_storage_set_aside{cluster=~"$cluster"})`),
				graph("Samples in memory alone", "none",
					series{"{{instance}}", `watchpost_storage_memory_samples{cluster=~"$cluster"}`},
					series{"lost by {{instance}}", `watchpost_storage_memory_dropped_samples_total{cluster=~"$cluster"}`}),
			}},
			{"Probes and pushes", []panel{
				graph("Probes", "s", series{"{{instance}}", `probe_duration_seconds{cluster=~"$cluster"}`}),
				graph("Days until certificates end", "d", series{"{{instance}}", `(probe_ssl_earliest_cert_expiry{cluster=~"$cluster"} - time()) / 86400`}),
				graph("Since the last push", "s", series{"{{job}} {{instance}}", `time() - push_time_seconds{cluster=~"$cluster"}`}),
			}},
		},
	},
}
