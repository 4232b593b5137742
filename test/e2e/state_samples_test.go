//go:build e2e

package e2e

// What the state-agent says of a real API server's objects, held against what was
// said of the same objects before; and what becomes of it further on: in gzip, in
// OpenMetrics, in the collector, with custom resources, over TLS.

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
	"watchpost/kube"
)

// bookshop are the samples: objects and what kube-state-metrics 2.20 says of them.
const bookshop = "../../../shared/samples/state"

// What differs from one load of objects to the next: identities, times and revisions
// that the API server gives, and the objects that it makes itself.
var (
	loadedUID    = regexp.MustCompile(`, (uid|label_\w*controller_uid)="[^"]*"`)
	loadedValues = regexp.MustCompile(`^\{__name__="(kube_\w+_created|kube_\w+_deletion_timestamp|kube_serviceaccount_deleted|kube_\w+_metadata_resource_version|` +
		`kube_pod_status_unscheduled_time|kube_cronjob_next_schedule_time)"`)
	madeByItself = regexp.MustCompile(`lease="apiserver-|namespace="kube-|namespace="default"[^}]*"kubernetes"|"kubernetes"[^}]*namespace="default"|` +
		`\{__name__="kube_namespace_[^}]*namespace="default"|[ {](clusterrole|clusterrolebinding)="(system:[^"]*|cluster-admin|admin|edit|view)"|roleref_name="system:`)
)

// loaded is what an exposition says of objects that were loaded.
func (p parsed) loaded() map[string]float64 {
	out := map[string]float64{}
	for s, v := range p.series {
		if madeByItself.MatchString(s) {
			continue
		}
		if loadedValues.MatchString(s) {
			v = 0
		}
		out[loadedUID.ReplaceAllString(s, "")] = v
	}
	return out
}

// expectation reads a file of what is to be said.
func expectation(t *testing.T, path string) parsed {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, answer{200, acceptText, "", string(text)})
}

// says holds that a state-agent says what is expected of loaded objects, with the
// same types.
func (a *stateAgent) says(want parsed) {
	a.t.Helper()
	var got parsed
	eventually(a.t, "what is expected", func() error {
		got = a.scrape("", "Accept", acceptText)
		if d := differences(want.loaded(), got.loaded()); len(d) > 0 {
			return fmt.Errorf("\n%s", strings.Join(d, "\n"))
		}
		return nil
	})
	for name, kind := range want.types {
		// Without an allow list these are not there: docs/compat.md.
		if listed := strings.HasSuffix(name, "_labels") || strings.HasSuffix(name, "_annotations"); got.types[name] != kind && (!listed || got.types[name] != "") {
			a.t.Errorf("%s is a %q, want %s", name, got.types[name], kind)
		}
	}
	for name := range got.types {
		if _, there := want.types[name]; !there {
			a.t.Errorf("nobody expects %s", name)
		}
	}
	a.t.Logf("%d families and %d series as expected", len(got.types), len(want.loaded()))
}

// The objects of ../shared/samples/state in a real API server, with default flags and
// with everything on.
func TestStateAgentSaysTheSamples(t *testing.T) {
	beside(t)
	if _, err := os.Stat(bookshop); err != nil {
		t.Skipf("%s is not there", bookshop)
	}
	c := testkube.Start(t, testkube.Options{})
	c.Load(t, os.DirFS(bookshop+"/objects"))
	startStateAgent(t, "--kubeconfig="+c.Kubeconfig()).ready().says(expectation(t, bookshop+"/expected-default.txt"))
	startStateAgent(t, append(everythingOn(kube.Resources()), "--kubeconfig="+c.Kubeconfig())...).ready().says(expectation(t, bookshop+"/expected-all.txt"))
}

// Resources that are not shown by themselves, as the beginnings of their families.
var offByThemselves = []string{"kube_clusterrole_", "kube_clusterrolebinding_", "kube_endpoint_", "kube_ingressclass_", "kube_role_", "kube_rolebinding_", "kube_serviceaccount_"}

// The repository's own objects, likewise.
func TestStateAgentSaysTheRailway(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	c.Load(t, os.DirFS(railway))
	want := expectation(t, "../../kube/testdata/expected.txt")
	optional := []string{"kube_pod_nodeselectors", "kube_persistentvolume_csi_attributes"}
	for name := range want.types {
		if strings.Contains(name, "container_status_resource_") {
			optional = append(optional, name)
		}
	}
	everything := append(everythingOn(kube.Resources()), "--kubeconfig="+c.Kubeconfig())
	everything[3] = "--metric-opt-in-list=" + strings.Join(optional, ",")
	startStateAgent(t, everything...).ready().says(want)

	off := func(name string) bool {
		if name == "kube_volumeattachment_labels" { // which needs no allow list
			return false
		}
		return slices.Contains(optional, name) || strings.HasSuffix(name, "_labels") || strings.HasSuffix(name, "_annotations") ||
			slices.ContainsFunc(offByThemselves, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	few := parsed{types: want.types, series: map[string]float64{}}
	for name := range few.types {
		if off(name) {
			delete(few.types, name)
		}
	}
	for s, v := range want.series {
		if name, _, _ := strings.Cut(strings.TrimPrefix(s, `{__name__="`), `"`); !off(name) {
			few.series[s] = v
		}
	}
	startStateAgent(t, "--kubeconfig="+c.Kubeconfig()).ready().says(few)
}

// An answer in gzip is one valid member and nothing after it, for Go, for zlib and
// for curl.
func TestStateAgentGzip(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "zipped", nil)
	configMap(t, c, "zipped", "one")
	a := startStateAgent(t, append(everythingOn(kube.Resources()), "--kubeconfig="+c.Kubeconfig())...).ready()
	a.shows(`namespace="zipped",configmap="one"`, true)
	for _, accept := range []string{acceptText, acceptOpenMetrics} {
		got := get(t, http.DefaultClient, a.metrics+"/metrics", "Accept", accept, "Accept-Encoding", "gzip")
		if got.encoding != "gzip" {
			t.Fatalf("the encoding is %q", got.encoding)
		}
		r := strings.NewReader(got.body) // a ByteReader: nothing is read beyond the member
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if r.Len() > 0 {
			t.Errorf("%d bytes after the first member", r.Len())
		}
		if p := parse(t, answer{200, got.contentType, "", string(text)}); p.series[`{__name__="kube_configmap_info", configmap="one", namespace="zipped"}`] != 1 {
			t.Errorf("%s: the config map is not there", accept)
		}
		t.Run("zlib", func(t *testing.T) {
			python, err := exec.LookPath("python3")
			if err != nil {
				t.Skip("there is no python3")
			}
			cmd := exec.Command(python, "-c", `
import sys, zlib
d = zlib.decompressobj(31)
text = d.decompress(sys.stdin.buffer.read()) + d.flush()
if not d.eof or d.unused_data:
    sys.exit("end seen: %s, bytes after it: %d" % (d.eof, len(d.unused_data)))
sys.stdout.buffer.write(text)`)
			cmd.Stdin, cmd.Stderr = strings.NewReader(got.body), t.Output()
			out, err := cmd.Output()
			if err != nil || !bytes.Equal(out, text) {
				t.Errorf("%v; %d bytes, want %d", err, len(out), len(text))
			}
		})
		t.Run("curl", func(t *testing.T) {
			curl, err := exec.LookPath("curl")
			if err != nil {
				t.Skip("there is no curl")
			}
			out, err := exec.Command(curl, "-sSf", "--compressed", "-H", "Accept: "+accept, a.metrics+"/metrics").Output()
			if err != nil {
				t.Fatal(err)
			}
			if p := parse(t, answer{200, got.contentType, "", string(out)}); p.series[`{__name__="kube_configmap_info", configmap="one", namespace="zipped"}`] != 1 {
				t.Error("the config map is not there")
			}
		})
	}
}

// A shop in trouble: objects as the questions below look for them, beside others.
const trouble = `
{apiVersion: v1, kind: Namespace, metadata: {name: typical}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: typical}}
---
{apiVersion: v1, kind: Node, metadata: {name: typical-good}, status: {conditions: [{type: Ready, status: "True", reason: KubeletReady}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: typical-bad}, status: {conditions: [{type: Ready, status: "False", reason: KubeletNotReady}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: typical-lost}, status: {conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: good, namespace: typical}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}
status: {startTime: "2026-10-20T10:00:00Z", completionTime: "2026-10-20T10:03:00Z", succeeded: 1, ready: 0, conditions: [
  {type: SuccessCriteriaMet, status: "True", lastTransitionTime: "2026-10-20T10:03:00Z"}, {type: Complete, status: "True", lastTransitionTime: "2026-10-20T10:03:00Z"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: failed, namespace: typical}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}
status: {startTime: "2026-10-21T12:00:00Z", failed: 2, ready: 0, conditions: [
  {type: FailureTarget, status: "True", reason: BackoffLimitExceeded, lastTransitionTime: "2026-10-21T12:10:00Z"},
  {type: Failed, status: "True", reason: BackoffLimitExceeded, lastTransitionTime: "2026-10-21T12:10:00Z"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: typical}
spec: {automountServiceAccountToken: false, nodeName: typical-good, containers: [{name: a, image: a}]}
status: {phase: Running, containerStatuses: [{name: a, image: a, imageID: "", ready: true, restartCount: 7, state: {running: {startedAt: "2026-10-21T12:00:00Z"}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: failed, namespace: typical}
spec: {automountServiceAccountToken: false, nodeName: typical-good, containers: [{name: a, image: a}]}
status: {phase: Failed}
---
apiVersion: v1
kind: Pod
metadata: {name: unknown, namespace: typical}
spec: {automountServiceAccountToken: false, nodeName: typical-lost, containers: [{name: a, image: a}]}
status: {phase: Unknown}
---
apiVersion: v1
kind: Pod
metadata: {name: crashing, namespace: typical}
spec: {automountServiceAccountToken: false, nodeName: typical-good, containers: [{name: a, image: a}]}
status: {phase: Running, containerStatuses: [{name: a, image: a, imageID: "", ready: true, restartCount: 3, state: {running: {startedAt: "2026-10-21T12:00:00Z"}}}]}
`

// The questions that are asked of a cluster most often find the objects that they are
// about, and no others, through the collector.
func TestStateAgentTypicalQuestions(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	c.Load(t, fstest.MapFS{"trouble.yaml": {Data: []byte(trouble)}})
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig()).ready()
	s := newCollector(t)
	s.args = append(s.args, "--config.file="+s.configFile(fmt.Sprintf("- {job_name: kube-state, honor_labels: true, static_configs: [{targets: [%q]}]}", strings.TrimPrefix(a.metrics, "http://"))))
	s.start()
	finds := func(question, label string, want ...string) {
		t.Helper()
		s.until(question, func() error {
			found, err := s.query(question)
			if err != nil {
				return err
			}
			var names []string
			for _, f := range found { // other tests have objects, too
				if name := f.Metric[label]; f.Metric["namespace"] == "typical" || strings.HasPrefix(name, "typical-") {
					if !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, want) {
				return fmt.Errorf("found %q, want %q", names, want)
			}
			return nil
		})
	}
	finds(`kube_job_status_failed > 0`, "job_name", "failed")
	finds(`kube_node_status_condition{condition="Ready", status!="true"} == 1`, "node", "typical-bad", "typical-lost")
	finds(`kube_pod_status_phase{phase=~"Failed|Unknown"} == 1`, "pod", "failed", "unknown")
	finds(`kube_pod_container_status_restarts_total`, "pod", "crashing", "good")
	finds(`changes(kube_pod_container_status_restarts_total[30m]) > 0`, "pod")
	patch := []byte(`{"status":{"containerStatuses":[{"name":"a","image":"a","imageID":"","ready":true,"restartCount":4,"state":{"running":{"startedAt":"2026-10-21T13:00:00Z"}}}]}}`)
	if _, err := c.Client().CoreV1().Pods("typical").Patch(t.Context(), "crashing", "application/merge-patch+json", patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	finds(`changes(kube_pod_container_status_restarts_total[30m]) > 0`, "pod", "crashing")
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`

// Custom resources by a file, which is changed.
func TestStateAgentCustomResources(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "custom", nil)
	c.Load(t, fstest.MapFS{"widgets.yaml": {Data: []byte(widgets)}})
	eventually(t, "the widget is taken", func() error { // its definition takes a moment
		return c.LoadFS(t.Context(), fstest.MapFS{"a.yaml": {Data: []byte(`{apiVersion: shop.example/v1, kind: Widget, metadata: {name: lamp, namespace: custom}, spec: {size: 7}}`)}})
	})
	file := filepath.Join(t.TempDir(), "custom.yaml")
	write := func(name, more string) {
		t.Helper()
		text := fmt.Sprintf(`kind: CustomResourceStateMetrics
spec:
  resources:
  - groupVersionKind: {group: shop.example, version: v1, kind: Widget}
    metricNamePrefix: shop
    labelsFromPath: {name: [metadata, name]}
%s    metrics:
    - name: %s
      help: How large.
      each: {type: Gauge, gauge: {path: [spec, size]}}
`, more, name)
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("size", "")
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=namespaces", "--custom-resource-state-config-file="+file).ready()
	const lamp = `{customresource_group="shop.example",customresource_kind="Widget",customresource_version="v1",name="lamp"} 7`
	a.shows("shop_size"+lamp, true)
	a.shows("kube_namespace_created", true)
	labels := fmt.Sprintf(`{filename=%q,type="customresourceconfig"} `, file)
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "1")
	write("breadth", "")
	a.shows("shop_breadth"+lamp, true)
	a.shows("shop_size", false)
	write("9 9", "")
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "0")
	a.shows("shop_breadth"+lamp, true)
	write("depth", "")
	a.shows("shop_depth"+lamp, true)
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "1")
	only := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--custom-resource-state-only", "--custom-resource-state-config-file="+file).ready()
	only.shows("shop_depth"+lamp, true)
	only.shows("kube_namespace_created", false)
}

// TLS counts for both servers.
func TestStateAgentTLS(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	s := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate and a client that trusts it
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"web.yaml": []byte("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=namespaces", "--tls-config="+filepath.Join(dir, "web.yaml"))
	for _, u := range []string{a.metrics + "/metrics", a.tele + "/metrics"} {
		if !strings.HasPrefix(u, "https://") {
			t.Errorf("it says that it serves %s", u)
		}
		eventually(t, "an answer", func() error {
			got := get(t, s.Client(), u)
			if got.status != 200 || !strings.Contains(got.body, "# TYPE kube_") {
				return fmt.Errorf("%d %.100s", got.status, got.body)
			}
			return nil
		})
		if got, err := http.Get("http" + strings.TrimPrefix(u, "https")); err == nil {
			got.Body.Close()
			if got.StatusCode != http.StatusBadRequest {
				t.Errorf("without TLS: %d", got.StatusCode)
			}
		}
	}
}
