package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/promstack"
)

var silent = slog.New(slog.DiscardHandler)

// parse reads a command line.
func parse(t *testing.T, args ...string) (options, error) {
	t.Helper()
	f := newFlags()
	if _, err := f.app.Parse(args); err != nil {
		return options{}, err
	}
	return f.options(silent)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// job is what the built-in configuration says of one target.
func job(name, target string, more ...string) string {
	s := "  - job_name: " + name + "\n"
	for _, m := range more {
		s += "    " + m + "\n"
	}
	return s + "    static_configs:\n      - targets: [\"" + target + "\"]\n"
}

func TestBuiltInConfiguration(t *testing.T) {
	web := write(t, "web.yml", "tls_server_config: {cert_file: c, key_file: k}\n")
	tls := []string{"scheme: https", "tls_config:", "  insecure_skip_verify: true"}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"alone", nil, []string{job("collector", "localhost:9090"), job("node", "localhost:9100")}},
		{"standalone", []string{"--standalone", "--standalone.node-address=127.0.0.1:9111", "--web.listen-address=0.0.0.0:80"},
			[]string{job("collector", "localhost:80"), job("node", "127.0.0.1:9111")}},
		{"with pushed metrics", []string{"--push", "--web.route-prefix=/deep"}, []string{
			job("collector", "localhost:9090", "metrics_path: /deep/metrics"),
			job("pushgateway", "localhost:9090", "metrics_path: /deep/push/metrics") + "    honor_labels: true\n",
		}},
		{"IPv6", []string{"--web.listen-address=[::1]:9090"}, []string{job("collector", "[::1]:9090")}},
		{"second address", []string{"--web.listen-address=unix:/run/c.sock", "--web.listen-address=:9090"}, []string{job("collector", "localhost:9090")}},
		{"below a path", []string{"--web.external-url=https://host/deep/er/"}, []string{job("collector", "localhost:9090", "metrics_path: /deep/er/metrics")}},
		{"path removed by a proxy", []string{"--web.external-url=https://host/deep", "--web.route-prefix=/"}, []string{job("collector", "localhost:9090")}},
		{"TLS", []string{"--standalone", "--web.config.file=" + web}, []string{job("collector", "localhost:9090", tls...), job("node", "localhost:9100", tls...)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := parse(t, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			text := string(o.engine.Source.Text)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("got\n%s\nwant\n%s", text, want)
				}
			}
			if _, err := o.engine.Source.Check(o.engine.Query); err != nil {
				t.Error(err)
			}
			var printed bytes.Buffer
			if err := printConfig(&printed, o); err != nil || printed.String() != text {
				t.Errorf("printed %v\n%s", err, &printed)
			}
		})
	}
}

func TestSocketOnlyHasNoSelf(t *testing.T) {
	o, err := parse(t, "--web.listen-address=unix:/run/c.sock")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(o.engine.Source.Text); strings.Contains(text, "job_name: collector") || !strings.Contains(text, job("node", "localhost:9100")) {
		t.Errorf("got\n%s", text)
	}
}

func TestCheckAndPrintConfig(t *testing.T) {
	good := write(t, "prometheus.yml", "scrape_configs:\n- job_name: a\n  static_configs: [{targets: [x]}]\n")
	bad := write(t, "prometheus.yml", "scrape_configs:\n- job_nam: a\n")
	var out bytes.Buffer
	if err := checkConfig(&out, good, promstack.QueryConfig{}); err != nil || out.String() != good+": ok, 1 scrape jobs, 0 rule files\n" {
		t.Errorf("%v: %s", err, &out)
	}
	wantBad := func(err error) {
		t.Helper()
		if want := bad + `:2: unknown field "job_nam"`; err == nil || err.Error() != want || !errors.As(err, new(*cli.UsageError)) {
			t.Errorf("got %v, want usage error %s", err, want)
		}
	}
	wantBad(checkConfig(&out, bad, promstack.QueryConfig{}))

	o, err := parse(t, "--config.file="+good)
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := printConfig(&out, o); err != nil || !strings.Contains(out.String(), "metrics_path: /metrics") {
		t.Errorf("%v: %s", err, &out)
	}
	if o, err = parse(t, "--config.file="+bad); err != nil {
		t.Fatal(err)
	}
	wantBad(printConfig(&out, o))
}
