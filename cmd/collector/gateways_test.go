package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/internal/promstack"
)

func TestProbesAreOffUnlessAsked(t *testing.T) {
	c, _, _ := collectorOn(t)
	if code, body := ask(t, c, "GET", "/probe?target=localhost"); code != http.StatusNotFound {
		t.Errorf("%d %s", code, body)
	}
}

func TestProbe(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	file := write(t, "modules.yml", "modules: {before: {prober: http}}")
	c, begin, _ := collectorOn(t, "--probe.config.file="+file, "--web.enable-lifecycle")
	begin()
	probe := func(module string) (int, string) {
		return ask(t, c, "GET", "/probe?module="+module+"&target="+url.QueryEscape(target.URL))
	}
	if code, body := probe("before"); code != 200 || !strings.Contains(body, "\nprobe_success 1\n") {
		t.Errorf("%d %s", code, body)
	}
	for _, step := range []struct {
		modules, module string
		reload, probe   int
	}{
		{"modules: {after: {prober: nothing}}", "before", 500, 200},
		{"modules: {after: {prober: http}}", "before", 200, 400},
		{"modules: {after: {prober: http}}", "after", 200, 200},
	} {
		if err := os.WriteFile(file, []byte(step.modules), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, body := ask(t, c, "POST", "/-/reload"); code != step.reload {
			t.Errorf("reload of %s: %d %s, want %d", step.modules, code, body, step.reload)
		}
		if code, body := probe(step.module); code != step.probe {
			t.Errorf("%s after a reload of %s: %d %s, want %d", step.module, step.modules, code, body, step.probe)
		}
	}
	if _, body := ask(t, c, "GET", "/metrics"); !strings.Contains(body, `watchpost_probes_total{prober="http",result="success"} 3`) {
		t.Errorf("the probes are not counted:\n%s", body)
	}
}

func TestPush(t *testing.T) {
	c, _, _ := collectorOn(t, "--push", "--web.route-prefix=/deep")
	expect := func(code int, method, path, body, text string) {
		t.Helper()
		if got, answer := send(t, c, method, path, strings.NewReader(body)); got != code || !strings.Contains(answer, text) {
			t.Errorf("%s %s: %d %s; want %d %s", method, path, got, answer, code, text)
		}
	}
	expect(200, "PUT", "/deep/metrics/job/j/path/../name//more/x", "a 1\n", "") // a path is taken as it is
	expect(200, "POST", "/deep/push/metrics/job@base64/L2o", "b 1\n", "")
	expect(200, "GET", "/deep/push/metrics", "", `a{instance="",job="j",more="x",name="",path=".."} 1`)
	expect(200, "GET", "/deep/push/metrics", "", `b{instance="",job="/j"} 1`)
	expect(200, "GET", "/deep/push/api/v1/metrics", "", `"job":"/j"`)
	expect(200, "GET", "/deep/push/api/v1/status", "", `"push":"true"`)
	expect(200, "GET", "/deep/metrics", "", "watchpost_push_groups 2\n")
	expect(404, "PUT", "/deep/push/api/v1/admin/wipe", "", "")
	expect(405, "GET", "/deep/metrics/job/j", "", "")
	expect(202, "DELETE", "/deep/metrics/job/j/path/../name//more/x", "", "")
	expect(200, "GET", "/deep/metrics", "", "watchpost_push_groups 1\n")

	c, _, _ = collectorOn(t, "--push", "--web.enable-admin-api")
	expect(202, "PUT", "/push/api/v1/admin/wipe", "", "")
}

func TestPushesAreOffUnlessAsked(t *testing.T) {
	c, _, _ := collectorOn(t)
	for _, path := range []string{"/metrics/job/j", "/push/metrics/job/j", "/push/api/v1/admin/wipe"} {
		if code, body := send(t, c, "PUT", path, strings.NewReader("a 1\n")); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestWrongGatewayFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--probe --probe.timeout-offset=-1", "--probe.timeout-offset -1 must be from 0 to 120"},
		{"--push --push.max-groups=0", "--push.max-groups 0 must be at least 1"},
		{"--push --push.persistence.interval=0s", "--push.persistence.interval 0s must be above 0"},
		{"--push --push.max-body-size=0B", "--push.max-body-size 0 must be at least 1"},
		{"--probe --probe.max-concurrency=0", "--probe.max-concurrency 0 must be at least 1"},
	} {
		if _, err := parse(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
}

// In a cluster the built-in configuration scrapes what was pushed, and lets this
// program probe the services and ingresses that ask for it.
func TestGatewaysInCluster(t *testing.T) {
	o, err := parse(t, "--probe", "--push", "--web.route-prefix=/deep")
	if err != nil {
		t.Fatal(err)
	}
	o.cluster, o.hostname = &cluster{name: "prod", account: t.TempDir()}, "collector-0"
	for _, f := range []string{"token", "ca.crt"} {
		if err := os.WriteFile(filepath.Join(o.cluster.account, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := builtIn(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (promstack.Source{Text: text}).Check(promstack.QueryConfig{}); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, want := range []string{
		"job_name: pushgateway\n    metrics_path: /deep/push/metrics\n", "    honor_labels: true\n    relabel_configs:\n",
		"job_name: kubernetes-services\n    metrics_path: /deep/probe\n", `target_label: __address__, replacement: "localhost:9090"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	o.gateway.probe = nil
	if text, err = builtIn(o); err != nil || strings.Contains(string(text), "kubernetes-services") {
		t.Errorf("probed without a prober: %v\n%s", err, text)
	}
}
