package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
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

func TestWrongGatewayFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--probe --probe.timeout-offset=-1", "--probe.timeout-offset -1 must be from 0 to 120"},
		{"--probe --probe.max-concurrency=0", "--probe.max-concurrency 0 must be at least 1"},
	} {
		if _, err := parse(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
}
