package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"watchpost/internal/stateagent"
)

// settingsOf are the settings that a command line asks for.
func settingsOf(t *testing.T, args ...string) stateagent.Settings {
	t.Helper()
	f, _, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := f.load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFlagsOfKubeStateMetrics: each flag of kube-state-metrics, with the same default.
func TestFlagsOfKubeStateMetrics(t *testing.T) {
	const table = "../../../shared/reference/state-flags.tsv"
	text, err := os.ReadFile(table)
	if err != nil {
		t.Skipf("%s is not here: nothing to compare with", table)
	}
	have := make(map[string]string)
	f := newFlags()
	for _, m := range f.app.Model().Flags {
		have[m.Name] = strings.Join(m.Default, ",")
	}
	// Written another way, or said by the absence of a value.
	same := map[string]string{
		"namespaces": "", "resources": "", "server-read-timeout": "1m0s", "shard": "0", "alsologtostderrthreshold": "",
		"legacy_stderr_threshold_behavior": "true", "stderrthreshold": "2",
	}
	compared := 0
	for line := range strings.Lines(string(text)) {
		cols := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(cols) < 3 || !strings.HasPrefix(cols[0], "-") {
			continue
		}
		name := cols[0][strings.LastIndex(cols[0], "--")+2:]
		compared++
		got, ok := have[name]
		want := cols[1]
		if w, special := same[name]; special {
			want = w
		}
		if name == "help" {
			continue
		}
		if !ok {
			t.Errorf("--%s is missing", name)
		} else if got != want && (got != "" || want != "false") {
			t.Errorf("--%s: default %q, want %q", name, got, want)
		}
	}
	if compared < 50 {
		t.Errorf("only %d flags compared", compared)
	}
}

// What cobra takes on kube-state-metrics' command line is taken here too.
func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"--use-apiserver-cache=true", "--resources=pods,nodes", "--resources", "secrets", "--namespaces=a", "--namespaces=b", "--shard=1", "--total-shards=3", "--total-shards=2", "-v=4"},
		{"--use-apiserver-cache", "--resources=pods, nodes,", "--resources=secrets", "--namespaces", "a,b", "--shard", "1", "--total-shards", "2", "--v=4"},
		{"--use-apiserver-cache=false", "--use-apiserver-cache=1", "--resources=pods,nodes,secrets", "--namespaces=a,b", "--total-shards=2", "--shard=1", "-v4"},
	} {
		s := settingsOf(t, args...)
		if !s.CachedLists || !slices.Equal(s.Resources, []string{"pods", "nodes", "secrets"}) || !slices.Equal(s.Namespaces, []string{"a", "b"}) || s.Shard != 1 || s.Shards != 2 {
			t.Errorf("%q: %+v", args, s)
		}
	}
	if s := settingsOf(t, "--use-apiserver-cache=false"); s.CachedLists {
		t.Error("--switch=false switches on")
	}
	if s := settingsOf(t, "--label-selector=pods=team=a,tier!=b", "--metric-labels-allowlist=pods=[a]", "--metric-labels-allowlist=nodes=[b]"); s.LabelSelectors["pods"] != "team=a,tier!=b" || len(s.Labels) != 2 {
		t.Errorf("%+v", s)
	}
	for args, want := range map[string][]string{"": nil, "--node=a": {"pods"}, "--track-unscheduled-pods": {"pods"}, "--custom-resource-state-only --custom-resource-state-config=x": {}} {
		if s := settingsOf(t, strings.Fields(args)...); !reflect.DeepEqual([]string(s.Resources), want) && len(s.Resources)+len(want) > 0 {
			t.Errorf("%s: resources %q", args, s.Resources)
		}
	}
}

// A service named state-agent in the namespace sets STATE_AGENT_PORT in the pod.
func TestServiceEnvironment(t *testing.T) {
	t.Setenv("STATE_AGENT_PORT", "tcp://10.96.0.7:8080")
	t.Setenv("STATE_AGENT_RESOURCES", "pods")
	f, _, err := parse(nil)
	if err != nil || f.port != defaultPort || !slices.Equal(f.resources, []string{"pods"}) {
		t.Errorf("port %d, resources %q, %v", f.port, f.resources, err)
	}
	t.Setenv("STATE_AGENT_METRICS_PORT", "9999")
	if f, _, err = parse(nil); err != nil || f.port != 9999 {
		t.Errorf("port %d, %v", f.port, err)
	}
}

func writeOptions(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "options.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each key of kube-state-metrics' file, and some of ours.
func TestOptions(t *testing.T) {
	file := writeOptions(t, `
annotations_allow_list: {pods: [a/b, c]}
labels_allow_list:
  "*": ["*"]
metric_allowlist: {kube_pod_info: {}, "^kube_node": {}}
metric_opt_in_list: [kube_pod_nodeselectors]
resources:
  pods: {}
  nodes:
apiserver: http://127.0.0.1:1
host: 127.0.0.1
kubeconfig: ""
namespace: monitoring
pod: agent-0
namespaces: [a, b]
namespaces_denylist: c
node: n1
tls_config: /tls
telemetry_host: ::1
auto-gomemlimit: true
auto-gomemlimit-ratio: 0.5
port: 1
telemetry_port: 2
total_shards: 4
shard: 3
server_read_timeout: 2m
server_write_timeout: 3m
server_idle_timeout: 4m
server_read_header_timeout: 6s
enable_gzip_encoding: true
track_unscheduled_pods: true
use_api_server_cache: true
object_limit: 7
auth_filter: true
custom_resource_config: "kind: CustomResourceStateMetrics"
continue_without_custom_resource_state_config_file: true
custom_resources_only: false
pod_labels: [app]
label_selector: {pods: team=a}
kube_api_qps: 9
enumerations.true-only: true
`)
	f, _, err := parse([]string{"--config", file, "--resources=secrets", "--port=77", "--label-selector=pods=x"})
	if err != nil {
		t.Fatal(err)
	}
	s, files, err := f.load()
	if err != nil {
		t.Fatal(err)
	}
	want := stateagent.Settings{
		APIServer: "http://127.0.0.1:1", QPS: 9, Burst: stateagent.DefaultBurst, Resources: []string{"pods", "nodes"},
		CustomResources: "kind: CustomResourceStateMetrics", Namespaces: []string{"a", "b"}, NamespacesDenied: []string{"c"},
		LabelSelectors: map[string]string{"pods": "team=a"}, Node: "n1", UnscheduledPods: true, ObjectLimit: 7, CachedLists: true,
		Shard: 3, Shards: 4, Pod: "agent-0", PodNamespace: "monitoring", MetricAllow: []string{"kube_pod_info", "^kube_node"},
		MetricOptIn: []string{"kube_pod_nodeselectors"}, Labels: map[string][]string{"*": {"*"}}, Annotations: map[string][]string{"pods": {"a/b", "c"}},
		PodLabels: []string{"app"}, TrueOnly: true,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v\nwant\n%+v", s, want)
	}
	if f.host != "127.0.0.1" || f.port != 1 || f.telemetryHost != "::1" || f.telemetryPort != 2 || f.tlsConfig != "/tls" || !f.authFilter || !f.autoMemory ||
		f.memoryRatio != 0.5 || f.readTimeout != 2*time.Minute || f.writeTimeout != 3*time.Minute || f.idleTimeout != 4*time.Minute || f.headerTimeout != 6*time.Second {
		t.Errorf("%+v", f)
	}
	if len(files) != 1 || files[0] != (stateagent.File{Type: "config", Name: file}) {
		t.Errorf("files %v", files)
	}
}

func TestOptionsMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"resources: [pods":                  "line 1",
		"a: b":                              "line 1: a: there is no such option",
		"port: 1\nport: 2":                  "line 2: port is there twice",
		"port: x":                           "line 1: port: ",
		"port: [1, 2]":                      "line 1: port: want one value",
		"[]":                                "line 1: want keys",
		"auth_filter: maybe":                "want true or false",
		"config: x":                         "line 1: config: there is no such option",
		"labels_allow_list: {pods: {a: b}}": "labels_allow_list: pods: want a value or a list",
		"labels_allow_list: {pods: [[a]]}":  "want a list of values",
		"resources: [{a: b}]":               "want a list of values",
		"custom_resource_config_file: a\ncustom_resource_state_config_file: b": "says what",
		"x: &a 1\nport: *a": "",
	} {
		file := writeOptions(t, text)
		_, _, err := parse([]string{"--config=" + file})
		if err == nil || !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
	absent := filepath.Join(t.TempDir(), "absent")
	if _, _, err := parse([]string{"--config=" + absent}); err == nil {
		t.Error("an absent file is no mistake")
	}
	if _, _, err := parse([]string{"--config=" + absent, "--continue-without-config"}); err != nil {
		t.Error(err)
	}
}

func FuzzOptions(f *testing.F) {
	for _, text := range []string{"", "port: 1", "resources: {pods: {}}", "labels_allow_list: {pods: [a]}", "a: &b [*b]", "? [a]\n: b", "- a", "a: {b: {c: d}}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		options, err := parseOptions(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		seen := make(map[string]bool)
		for _, o := range options {
			if seen[o.key] || o.line < 1 {
				t.Errorf("option %+v", o)
			}
			seen[o.key] = true
		}
	})
}
