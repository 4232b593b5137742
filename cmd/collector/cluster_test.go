package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/internal/promstack"
	"watchpost/internal/testkit"
)

func TestClusterText(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"token", "ca.crt"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := cluster{name: "test", account: dir, scheduler: &component{"https", "10259"}, controllerManager: &component{"http", "10252"},
		etcd: []component{{"https", "2379"}, {"https", "2382"}}, etcdCA: dir + "/ca.crt", etcdCert: "/cert", etcdKey: "/key",
		prober: &prober{address: "localhost:9090", path: "/probe", tls: true}}
	text := c.text("  # Itself.\n  - job_name: collector\n")
	testkit.Golden(t, "testdata/cluster.yml", []byte(strings.ReplaceAll(text, dir, accountDir)))
	sum, err := promstack.Source{Text: []byte(text)}.Check(promstack.QueryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Count(text, "job_name:"); sum.Jobs != want || want < 13 {
		t.Errorf("%d jobs, want %d", sum.Jobs, want)
	}
	// The least that a cluster can do without.
	text = cluster{account: dir}.text("  - job_name: collector\n")
	for _, word := range []string{"etcd", "scheduler", "controller-manager", "target_label: cluster", "probe"} {
		if strings.Contains(text, word) {
			t.Errorf("%s is there without being asked for", word)
		}
	}
}

func TestClusterFlags(t *testing.T) {
	for _, bad := range [][]string{
		{"--cluster.scheduler=10251"},
		{"--cluster.scheduler=ftp:10251"},
		{"--cluster.controller-manager=http:0"},
		{"--cluster.controller-manager=http:70000"},
		{"--cluster.etcd=https:2379"},
		{"--cluster.etcd-ca-file=a"},
		{"--total-shards=0"},
		{"--shard=1"},
		{"--shard=-1"},
		{"--pod-namespace=a"},
		{"--pod=a-0", "--pod-namespace=a", "--shard=3", "--total-shards=2"},
		{"--external-label=a"},
		{"--external-label=a-b=c"},
		{"--external-label=__a=c"},
		{"--external-label=a=b", "--external-label=a=c"},
	} {
		if _, err := parse(t, bad...); err == nil {
			t.Errorf("%q are taken", bad)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %v", bad, err)
		}
	}
	o, err := parse(t, "--cluster.etcd=http:2381", "--shard=1", "--total-shards=3", "--external-label=replica=a", "--external-label=b==c")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.engine.Source; got.Shard != (promstack.Shard{Index: 1, Total: 3}) || got.Labels["replica"] != "a" || got.Labels["b"] != "=c" {
		t.Errorf("%+v", got)
	}
	if o.cluster != nil {
		t.Error("this is no cluster")
	}
}

// What deploy/ adds to the built-in configuration can be run with it.
func TestDeployedAdditions(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"token", "ca.crt"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add := []string{"../../deploy/collector/config/*.yml", "../../deploy/components/*/write.yml"}
	sum, err := promstack.Source{Text: []byte(cluster{account: dir}.text("  - job_name: collector\n")), Add: add}.Check(promstack.QueryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/etc/collector/rules/*.yml", "/api/v1/write", "job_name: kubernetes-pods"} {
		if !strings.Contains(sum.Effective, want) {
			t.Errorf("no %s", want)
		}
	}
}
