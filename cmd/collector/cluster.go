package main

// The built-in configuration in a Kubernetes cluster, as an ordinary prometheus.yml.
//
// Each kind of object is listed and watched once, however many jobs look at it: the
// discoveries of several jobs that are the same to the letter are one. So no job
// narrows its discovery; rules do that.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"watchpost/cmd/internal/cli"
)

// accountDir is where Kubernetes puts the credentials of a pod's service account.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// cluster is what the built-in configuration needs to know of a Kubernetes cluster.
type cluster struct {
	name    string // label cluster of every series; none where empty
	account string // folder of the token and the certificate of the API server

	scheduler, controllerManager *component  // of the control plane's nodes; nil is not to ask
	etcd                         []component // the same
	etcdCA, etcdCert, etcdKey    string      // for those with https; all or none

	prober *prober // nil is to probe nothing
}

// component is how a part of the control plane is asked on each of its nodes.
type component struct{ scheme, port string }

func (c *component) String() string { return c.scheme + ":" + c.port }

// prober is what probes services and ingresses: /probe of blackbox_exporter, or ours.
type prober struct {
	address string // host:port
	path    string
	tls     bool
}

// parseComponent reads "https:10259"; "off" is none.
func parseComponent(flag, text string) (*component, error) {
	if text == "off" {
		return nil, nil
	}
	scheme, port, found := strings.Cut(text, ":")
	if n, err := strconv.ParseUint(port, 10, 16); !found || err != nil || n == 0 || scheme != "http" && scheme != "https" {
		return nil, fmt.Errorf("--%s %q: want https:PORT, http:PORT or off", flag, text)
	}
	return &component{scheme, port}, nil
}

// clusterFlags are those of the built-in configuration in a cluster.
type clusterFlags struct {
	name, scheduler, controllerManager *string
	etcd                               *[]string
	etcdCA, etcdCert, etcdKey          *string
	prober                             *string
}

func (f *clusterFlags) declare(app *cli.App) {
	f.name = app.Flag("cluster", "Name of the cluster: label cluster of every series. This and the next six are for the configuration that is built in, in a Kubernetes cluster.").PlaceHolder("NAME").String()
	// The ports of Kubernetes since 1.17. Until 1.22 there were http:10251 and http:10252.
	f.scheduler = app.Flag("cluster.scheduler", "Where the scheduler listens on the control plane's nodes: https:PORT, http:PORT or off.").Default("https:10259").String()
	f.controllerManager = app.Flag("cluster.controller-manager", "The same of the controller manager.").Default("https:10257").String()
	f.etcd = app.Flag("cluster.etcd", "The same of etcd: https:2379 with the three files below, or http:2381 where kubeadm's etcd does not listen for itself alone. Repeatable.").Default("off").Strings()
	f.etcdCA = app.Flag("cluster.etcd-ca-file", "Who signed etcd's certificate.").PlaceHolder("FILE").String()
	f.etcdCert = app.Flag("cluster.etcd-cert-file", "Certificate by which etcd knows the collector.").PlaceHolder("FILE").String()
	f.etcdKey = app.Flag("cluster.etcd-key-file", "Its key.").PlaceHolder("FILE").String()
	f.prober = app.Flag("cluster.prober", "Address of a blackbox_exporter: it probes services and ingresses that are annotated prometheus.io/probe; with --probe this program does so unless it is given.").PlaceHolder("HOST:PORT").String()
}

// inCluster tells whether this process is in a pod that may ask the API server.
func inCluster() bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" || os.Getenv("KUBERNETES_SERVICE_PORT") == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(accountDir, "token"))
	return err == nil
}

// options checks the flags.
func (f *clusterFlags) options() (c cluster, err error) {
	c = cluster{name: *f.name, account: accountDir, etcdCA: *f.etcdCA, etcdCert: *f.etcdCert, etcdKey: *f.etcdKey}
	if c.scheduler, err = parseComponent("cluster.scheduler", *f.scheduler); err != nil {
		return c, err
	}
	if c.controllerManager, err = parseComponent("cluster.controller-manager", *f.controllerManager); err != nil {
		return c, err
	}
	given := 0
	for _, file := range []string{c.etcdCA, c.etcdCert, c.etcdKey} {
		if file != "" {
			given++
		}
	}
	if given != 0 && given != 3 {
		return c, errors.New("--cluster.etcd-ca-file, --cluster.etcd-cert-file and --cluster.etcd-key-file belong together: give all three or none")
	}
	for _, text := range *f.etcd {
		e, err := parseComponent("cluster.etcd", text)
		if err != nil {
			return c, err
		}
		if e == nil {
			continue
		}
		if e.scheme == "https" && given == 0 {
			return c, fmt.Errorf("--cluster.etcd %s needs --cluster.etcd-ca-file, --cluster.etcd-cert-file and --cluster.etcd-key-file: etcd lets nobody in without a certificate", e)
		}
		c.etcd = append(c.etcd, *e)
	}
	if *f.prober != "" {
		c.prober = &prober{address: *f.prober, path: "/probe"}
	}
	return c, nil
}

// Parts of a job, as lines of YAML.
const (
	pods      = "    kubernetes_sd_configs: [{role: pod}]\n    relabel_configs:\n"
	nodes     = "    kubernetes_sd_configs: [{role: node}]\n    relabel_configs:\n"
	endpoints = "    kubernetes_sd_configs: [{role: endpointslice}]\n    relabel_configs:\n"
	services  = "    kubernetes_sd_configs: [{role: service}]\n    relabel_configs:\n"
	ingresses = "    kubernetes_sd_configs: [{role: ingress}]\n    relabel_configs:\n"
)

// meta puts the prefix of Kubernetes' labels before each name that begins with a dot.
func meta(names []string) string {
	full := make([]string, len(names))
	for i, n := range names {
		if full[i] = n; strings.HasPrefix(n, ".") {
			full[i] = "__meta_kubernetes_" + n[1:]
		}
	}
	return strings.Join(full, ", ")
}

// keep and drop decide by labels, joined by semicolons; move writes what matches into
// a label; copied is move of a whole label; mapped takes labels over by their name.
func keep(regex string, labels ...string) string {
	return fmt.Sprintf("      - {action: keep, source_labels: [%s], regex: %s}\n", meta(labels), strconv.Quote(regex))
}

func drop(regex string, labels ...string) string {
	return fmt.Sprintf("      - {action: drop, source_labels: [%s], regex: %s}\n", meta(labels), strconv.Quote(regex))
}

func move(target, regex, replacement string, labels ...string) string {
	return fmt.Sprintf("      - {source_labels: [%s], regex: %s, target_label: %s, replacement: %s}\n", meta(labels), strconv.Quote(regex), target, strconv.Quote(replacement))
}

func copied(target, label string) string {
	return fmt.Sprintf("      - {source_labels: [%s], target_label: %s}\n", meta([]string{label}), target)
}

func mapped(kind string) string {
	return fmt.Sprintf("      - {action: labelmap, regex: __meta_kubernetes_%s_label_(.+)}\n", kind)
}

func set(target, value string) string {
	return fmt.Sprintf("      - {target_label: %s, replacement: %s}\n", target, strconv.Quote(value))
}

// withAccount are the fields of a job that asks with the service account's token.
func (c cluster) withAccount(tls string) string {
	return "    scheme: https\n    tls_config: {" + tls + "}\n    authorization: {credentials_file: " + c.account + "/token}\n"
}

// suite tells the pods of the suite's agents, which have jobs of their own, from others.
const suite = "node-agent|state-agent|kube-state-metrics|cadvisor-proxy"

// text is the configuration; self is the job of this program.
func (c cluster) text(self string) string {
	var b strings.Builder
	b.WriteString(`# What collector runs without --config.file in a Kubernetes cluster: an ordinary
# prometheus.yml. To change it, save it, edit it and give it back with --config.file.
global:
  scrape_interval: 15s
  evaluation_interval: 15s
`)
	named := ""
	if c.name != "" {
		named = set("cluster", c.name)
		fmt.Fprintf(&b, "  external_labels: {cluster: %q}\n", c.name)
	}
	b.WriteString("\nscrape_configs:\n" + self + "\n")
	job := func(about, name string, fields ...string) {
		for line := range strings.SplitSeq(about, "\n") {
			b.WriteString("  # " + line + "\n")
		}
		b.WriteString("  - job_name: " + name + "\n")
		for _, f := range fields {
			b.WriteString(f)
		}
		b.WriteString(named + "\n")
	}
	agent := func(names, ports string) string {
		return keep("("+names+");("+ports+");false", ".pod_label_app_kubernetes_io_name", ".pod_container_port_name", ".pod_container_init")
	}

	job("The suite's agents: pods with the label app.kubernetes.io/name that says so, at their\ncontainer ports of the name metrics.",
		"node", pods, agent("node-agent", "metrics"), copied("instance", ".pod_node_name"), copied("node", ".pod_node_name"))
	job("What state-agent, or kube-state-metrics, and cadvisor-proxy tell is about other pods:\ntheir labels stay as they are, so nothing becomes exported_pod or exported_namespace.",
		"state-agent", "    honor_labels: true\n", pods, agent("state-agent|kube-state-metrics", "metrics|http-metrics|telemetry"))
	job("The containers of each node, with pod and namespace.",
		"cadvisor-proxy", "    honor_labels: true\n", pods, agent("cadvisor-proxy", "metrics"), copied("instance", ".pod_node_name"), copied("node", ".pod_node_name"))

	const unsigned = "insecure_skip_verify: true"
	job("What the kubelets tell of themselves. In most clusters nobody has signed their certificates.",
		"kubelet", c.withAccount(unsigned), nodes, copied("node", ".node_name"))
	job("Every API server.",
		"apiserver", c.withAccount("ca_file: "+c.account+"/ca.crt, server_name: kubernetes"), endpoints,
		keep("default;kubernetes;https", ".namespace", ".service_name", ".endpointslice_port_name"))

	part := func(about, name, asJob string, p *component, secure string) {
		fields := "    scheme: " + p.scheme + "\n"
		if p.scheme == "https" {
			fields = secure
		}
		renamed := ""
		if name != asJob {
			renamed = set("job", asJob)
		}
		job(about, name, fields, nodes,
			keep(".*true.*", ".node_labelpresent_node_role_kubernetes_io_control_plane", ".node_labelpresent_node_role_kubernetes_io_master"),
			move("__address__", `(.+):\d+`, "$1:"+p.port, "__address__"), copied("node", ".node_name"), renamed)
	}
	if c.scheduler != nil {
		part("The scheduler, on the nodes of the control plane.", "kube-scheduler", "kube-scheduler", c.scheduler, c.withAccount(unsigned))
	}
	if c.controllerManager != nil {
		part("The controller manager, on the same nodes.", "kube-controller-manager", "kube-controller-manager", c.controllerManager, c.withAccount(unsigned))
	}
	for i, e := range c.etcd {
		name := "etcd"
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		part("etcd, on the same nodes.", name, "etcd", &e, fmt.Sprintf("    scheme: https\n    tls_config: {ca_file: %q, cert_file: %q, key_file: %q}\n", c.etcdCA, c.etcdCert, c.etcdKey))
	}

	ofPod := copied("namespace", ".namespace") + copied("pod", ".pod_name") + copied("node", ".pod_node_name")
	where := func(kind string) string {
		return move("__scheme__", "(https?)", "$1", kind+"annotation_prometheus_io_scheme") +
			move("__metrics_path__", "(.+)", "$1", kind+"annotation_prometheus_io_path")
	}
	job(`Pods with the annotation prometheus.io/scrape: "true"; prometheus.io/scheme, path and
port say where. Without a port all ports of all containers are asked.`,
		"kubernetes-pods", pods, keep("true;(false)?", ".pod_annotation_prometheus_io_scrape", ".pod_container_init"),
		drop(suite, ".pod_label_app_kubernetes_io_name"), drop("Succeeded|Failed", ".pod_phase"), where(".pod_"),
		move("__address__", `(\d+);([\d.]+)`, "$2:$1", ".pod_annotation_prometheus_io_port", ".pod_ip"),
		move("__address__", `(\d+);(.*:.*)`, "[$2]:$1", ".pod_annotation_prometheus_io_port", ".pod_ip"),
		mapped("pod"), ofPod)
	job("Services with the same annotations: what is behind them, one by one. Pods that are\nannotated themselves are asked above.",
		"kubernetes-service-endpoints", endpoints, keep("true;(false)?", ".service_annotation_prometheus_io_scrape", ".pod_container_init"),
		drop("true", ".pod_annotation_prometheus_io_scrape"), drop(suite, ".pod_label_app_kubernetes_io_name"), where(".service_"),
		move("__address__", `(.+?)(?::\d+)?;(\d+)`, "$1:$2", "__address__", ".service_annotation_prometheus_io_port"),
		mapped("service"), copied("service", ".service_name"), ofPod)
	if c.prober != nil {
		c.probes(job)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// probes are the jobs that let the prober ask services and ingresses.
func (c cluster) probes(job func(about, name string, fields ...string)) {
	fields := "    metrics_path: " + c.prober.path + "\n    params: {module: [http_2xx]}\n"
	if c.prober.tls {
		fields += "    scheme: https\n    tls_config: {insecure_skip_verify: true}\n"
	}
	asked := set("__address__", c.prober.address) + copied("instance", "__param_target") + copied("namespace", ".namespace")
	job(`Services and ingresses with the annotation prometheus.io/probe: "true" are probed;
prometheus.io/module names another module than http_2xx.`,
		"kubernetes-services", fields, services, keep("true", ".service_annotation_prometheus_io_probe"),
		copied("__param_target", "__address__"), move("__param_module", "(.+)", "$1", ".service_annotation_prometheus_io_module"),
		mapped("service"), copied("service", ".service_name"), asked)
	job("Each path of each host of an ingress.",
		"kubernetes-ingresses", fields, ingresses, keep("true", ".ingress_annotation_prometheus_io_probe"),
		move("__param_target", "(.+);(.+);(.+)", "$1://$2$3", ".ingress_scheme", "__address__", ".ingress_path"),
		move("__param_module", "(.+)", "$1", ".ingress_annotation_prometheus_io_module"),
		mapped("ingress"), copied("ingress", ".ingress_name"), asked)
}
