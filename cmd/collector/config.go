package main

import (
	"fmt"
	"io"
	"net"
	"strings"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/promstack"
	"watchpost/internal/serve"
)

const builtInHead = `# What collector runs without --config.file: an ordinary prometheus.yml. To
# change it, save it, edit it and give it back with --config.file.
global:
  scrape_interval: 15s
  evaluation_interval: 15s

scrape_configs:
`

// Parts of the job of pushed metrics.
const (
	aboutPushed = "What jobs have pushed; they say themselves who they are."
	honorLabels = "    honor_labels: true\n"
)

// builtIn is the configuration without --config.file: of the cluster that this
// program is in, or of this program and the node-agent of this host. The label
// instance of a host stays localhost:port, as everyone knows it from Prometheus; who
// brings several hosts to one place tells them apart with --external-label or in a
// file.
func builtIn(o options) ([]byte, error) {
	tls, err := serve.UsesTLS(o.web.WebConfigFile)
	if err != nil {
		return nil, fmt.Errorf("--web.config.file %s: %w", o.web.WebConfigFile, err)
	}
	var b strings.Builder
	job := func(about, name, target, path string, tls bool) {
		fmt.Fprintf(&b, "  # %s\n  - job_name: %s\n", about, name)
		if path != "/metrics" {
			fmt.Fprintf(&b, "    metrics_path: %s\n", path)
		}
		if tls {
			// The certificate is for the name by which others know this host.
			b.WriteString("    scheme: https\n    tls_config:\n      insecure_skip_verify: true\n")
		}
		fmt.Fprintf(&b, "    static_configs:\n      - targets: [%q]\n", target)
	}
	own, ownOK := localTarget(o.web.Addresses)
	if o.cluster != nil {
		c := *o.cluster
		self := func(about, name, path, more string) {
			job(about, name, own, path, tls)
			fmt.Fprintf(&b, "        labels: {instance: %q, %s: \"true\"}\n", o.hostname, promstack.UnshardedLabel)
			b.WriteString(more)
			if c.name != "" {
				b.WriteString("    relabel_configs:\n" + set("cluster", c.name))
			}
		}
		if ownOK {
			self("This program. Each shard asks itself.", "collector", o.prefix+"/metrics", "")
			if o.gateway.push != nil {
				self(aboutPushed, "pushgateway", o.prefix+pushPath+"/metrics", honorLabels)
			}
			if o.gateway.probe != nil && c.prober == nil {
				c.prober = &prober{address: own, path: o.prefix + "/probe", tls: tls}
			}
		}
		return []byte(c.text(b.String())), nil
	}
	b.WriteString(builtInHead)
	if ownOK {
		job("This program.", "collector", own, o.prefix+"/metrics", tls)
		if o.gateway.push != nil {
			job(aboutPushed, "pushgateway", own, o.prefix+pushPath+"/metrics", tls)
			b.WriteString(honorLabels)
		}
	}
	if o.node == nil {
		job("The node-agent of this host, where one runs.", "node", "localhost:9100", "/metrics", false)
	} else if target, ok := localTarget(o.node.web.Addresses); ok {
		job("The node-agent of this host, in this process.", "node", target, "/metrics", tls)
	}
	return []byte(b.String()), nil
}

// localTarget is how this host reaches the first of the addresses that is not a
// socket file.
func localTarget(addresses []string) (target string, ok bool) {
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if err != nil || strings.HasPrefix(a, "unix:") || strings.HasPrefix(a, "vsock:") {
			continue
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost"
		}
		return net.JoinHostPort(host, port), true
	}
	return "", false
}

// checkConfig tells whether a prometheus.yml can be run.
func checkConfig(out io.Writer, file string, q promstack.QueryConfig) error {
	sum, err := promstack.Source{File: file}.Check(q)
	if err != nil {
		return cli.Usage(err)
	}
	_, err = fmt.Fprintf(out, "%s: ok, %d scrape jobs, %d rule files\n", file, sum.Jobs, sum.RuleFiles)
	return err
}

// printConfig prints what would run: the built-in text as it is; a file, or what flags
// add to, with all defaults filled in and secrets left out.
func printConfig(out io.Writer, o options) error {
	source := o.engine.Source
	text := string(source.Text)
	if source.File != "" || source.Shard.Total > 1 || len(source.Labels) > 0 || len(source.Add) > 0 {
		sum, err := source.Check(o.engine.Query)
		if err != nil {
			return cli.Usage(err)
		}
		text = sum.Effective
	}
	_, err := io.WriteString(out, text)
	return err
}
