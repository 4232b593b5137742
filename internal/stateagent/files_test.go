package stateagent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	name, absent := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(name, "a: 1\n")
	reg := prometheus.NewRegistry()
	f := newFiles(reg)
	f.now = func() time.Time { return time.Unix(1234, 500e6) }
	f.good([]File{{"config", name}, {"customresourceconfig", absent}})
	if f.changed() {
		t.Error("changed by looking")
	}
	if v := testutil.ToFloat64(f.successful.WithLabelValues("config", name)); v != 1 {
		t.Errorf("successful is %v", v)
	}
	if v := testutil.ToFloat64(f.succeeded.WithLabelValues("config", name)); v != 1234.5 {
		t.Errorf("time is %v", v)
	}
	hash := testutil.ToFloat64(f.hash.WithLabelValues("config", name))
	if n := testutil.CollectAndCount(f.successful); n != 1 {
		t.Errorf("%d files are told of, want the one that is there", n)
	}
	write(name, "a: 2\n")
	if !f.changed() || f.changed() {
		t.Error("a change is not seen once")
	}
	f.bad(&FileError{name, errors.New("line 1: no")})
	if v := testutil.ToFloat64(f.successful.WithLabelValues("config", name)); v != 0 {
		t.Errorf("successful is %v", v)
	}
	if v := testutil.ToFloat64(f.hash.WithLabelValues("config", name)); v != hash {
		t.Error("the hash is that of a text that does not count")
	}
	f.taken()
	if v := testutil.ToFloat64(f.successful.WithLabelValues("config", name)); v != 0 {
		t.Errorf("successful is %v after a broken text, whatever was waited for before", v)
	}
	f.wait(f.watched)
	if v := testutil.ToFloat64(f.successful.WithLabelValues("config", name)); v != 0 {
		t.Errorf("successful is %v before it is shown", v)
	}
	if n := testutil.CollectAndCount(f.successful); n != 1 {
		t.Errorf("%d files are told of, want the one that is there", n)
	}
	f.taken()
	if v := testutil.ToFloat64(f.successful.WithLabelValues("config", name)); v != 1 {
		t.Errorf("successful is %v when it is shown", v)
	}
	if v := testutil.ToFloat64(f.hash.WithLabelValues("config", name)); v == hash {
		t.Error("the hash is that of the text before")
	}
	write(absent, "x")
	if !f.changed() {
		t.Error("a file that has come is not seen")
	}
	if err := os.Remove(absent); err != nil {
		t.Fatal(err)
	}
	if !f.changed() {
		t.Error("a file that has gone is not seen")
	}
	f.good([]File{{"customresourceconfig", absent}})
	if n, err := testutil.GatherAndCount(reg); n != 0 || err != nil {
		t.Errorf("%d series of files that are not watched any more or not there, %v", n, err)
	}
}

func TestHashValue(t *testing.T) {
	if got := hashValue([16]byte{1, 2, 3, 4, 5, 6, 7, 8}); got != float64(0x060504030201) {
		t.Errorf("%v", got)
	}
}

func TestReadFileBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(MaxFile + 1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("%v", err)
	}
}

func TestFollowed(t *testing.T) {
	var told []part
	f := &followed{part: part{0, 1, nil}, waiting: 2, changed: func(p part) { told = append(told, p) }}
	f.setShard(1, 2)
	if len(told) > 0 {
		t.Error("told before all is known")
	}
	f.setNamespaces([]string{"a"})
	f.setNamespaces([]string{"a"})
	f.setShard(1, 2)
	f.setShard(1, 3)
	f.setNamespaces([]string{"a", "b"})
	want := []part{{1, 2, []string{"a"}}, {1, 3, []string{"a"}}, {1, 3, []string{"a", "b"}}}
	if len(told) != len(want) {
		t.Fatalf("told %v", told)
	}
	for i := range want {
		if !told[i].equal(want[i]) {
			t.Errorf("told %v, want %v", told, want)
		}
	}
}

func TestSettingsCheck(t *testing.T) {
	good := Settings{QPS: 1, Burst: 1, Shards: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Settings){
		"--total-shards":              func(s *Settings) { s.Shards = 0 },
		"--shard 1":                   func(s *Settings) { s.Shard = 1 },
		"--pod-namespace":             func(s *Settings) { s.Pod = "a" },
		"--object-limit":              func(s *Settings) { s.ObjectLimit = -1 },
		"--kube-api-qps":              func(s *Settings) { s.QPS = 0 },
		"--pods.skip-finished-after":  func(s *Settings) { s.SkipFinishedAfter = -1 },
		"only pods can be shown":      func(s *Settings) { s.Node, s.Resources = "n", []string{"pods", "nodes"} },
		"--resources: nodes are not ": func(s *Settings) { s.UnscheduledPods, s.Resources = true, []string{"nodes"} },
	} {
		s := good
		change(&s)
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
