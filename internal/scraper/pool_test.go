package scraper

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
)

// seen are the targets of job a: the addresses of those that are scraped, and of those
// that were dropped.
func (r *running) seen() string {
	var active, dropped []string
	for _, t := range r.TargetsActive()["a"] {
		active = append(active, t.GetValue(model.AddressLabel))
	}
	for _, t := range r.TargetsDropped()["a"] {
		dropped = append(dropped, t.DiscoveredLabels(labels.NewBuilder(labels.EmptyLabels())).Get(model.AddressLabel))
	}
	slices.Sort(active)
	slices.Sort(dropped)
	return strings.Join(active, " ") + " | " + strings.Join(dropped, " ")
}

// shows waits until the targets of job a are these.
func (r *running) shows(want string) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); r.seen() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("the targets are %q, want %q", r.seen(), want)
		}
	}
}

const (
	keepRed  = fast + "  - {job_name: a, relabel_configs: [{action: keep, source_labels: [colour], regex: red}]}\n"
	dropRed  = fast + "  - {job_name: a, relabel_configs: [{action: drop, source_labels: [colour], regex: red}]}\n"
	keepFew  = fast + "  - {job_name: a, keep_dropped_targets: 2, relabel_configs: [{action: keep, source_labels: [colour], regex: none}]}\n"
	elseBad  = fast + "  - {job_name: a, relabel_configs: [{source_labels: [colour], regex: green, target_label: __address__, replacement: a/b}]}\n"
	redHost  = "127.0.0.1:1"
	blueHost = "127.0.0.1:2"
	third    = "127.0.0.1:3"
	fourth   = "127.0.0.1:4"
)

// Groups that stay are taken over as they were judged, others are judged, and all of them
// when the rules are others.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := runOurs(t, keepRed)
	stays := &targetgroup.Group{Source: "stays", Targets: []model.LabelSet{at(blueHost, "colour", "blue"), at(redHost, "colour", "red")}}
	goes := &targetgroup.Group{Source: "goes", Targets: []model.LabelSet{at(third)}, Labels: model.LabelSet{"colour": "red"}}
	send := func(groups ...*targetgroup.Group) { r.sets <- map[string][]*targetgroup.Group{"a": groups} }
	send(stays, goes)
	r.shows("127.0.0.1:1 127.0.0.1:3 | 127.0.0.1:2")
	send(stays, &targetgroup.Group{Source: "goes", Targets: []model.LabelSet{at(fourth, "colour", "red"), at(third)}})
	r.shows("127.0.0.1:1 127.0.0.1:4 | 127.0.0.1:2 127.0.0.1:3")
	send(stays)
	r.shows("127.0.0.1:1 | 127.0.0.1:2")
	r.apply(dropRed)
	send(stays)
	r.shows("127.0.0.1:2 | 127.0.0.1:1")
	r.apply(keepFew)
	send(stays, goes)
	for end := time.Now().Add(10 * time.Second); r.TargetsDroppedCounts()["a"] != 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v were dropped, want 3", r.TargetsDroppedCounts())
		}
	}
	if got := len(r.TargetsDropped()["a"]); got != 2 {
		t.Errorf("%d targets are told of, want 2", got)
	}
	told := 0
	for job := range r.EachDropped {
		if told++; job != "a" {
			t.Errorf("job %q", job)
		}
		break
	}
	if told != 1 {
		t.Errorf("%d targets before the end", told)
	}
}

// A target that cannot be made is none that was dropped, and it is counted each time that
// targets are taken over, though its group stays.
func TestFailedTargets(t *testing.T) {
	t.Parallel()
	r := runOurs(t, elseBad)
	group := &targetgroup.Group{Targets: []model.LabelSet{at(redHost, "colour", "green"), at(blueHost)}}
	failed := func() float64 { return testutil.ToFloat64(r.metrics.syncFailed.WithLabelValues("a")) }
	for n := range 3 {
		r.sets <- map[string][]*targetgroup.Group{"a": {group}}
		for end := time.Now().Add(10 * time.Second); failed() <= float64(n); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %d times %g have failed", n+1, failed())
			}
		}
	}
	r.shows("127.0.0.1:2 | ")
}

// BenchmarkSync is one pod of 10,000 that changes, in a job that wants none of them.
func BenchmarkSync(b *testing.B) {
	m := newOurs(b, newRecorder(time.Minute), false, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	p, err := m.newPool(load(b, keepRed).ScrapeConfigs[0])
	if err != nil {
		b.Fatal(err)
	}
	pod := func(i int) *targetgroup.Group {
		g := &targetgroup.Group{Labels: model.LabelSet{}}
		for l := range 40 {
			g.Labels[model.LabelName(fmt.Sprintf("__meta_kubernetes_pod_label_of_a_pod_%d", l))] = model.LabelValue(fmt.Sprint("value", l, i))
		}
		for c := range 5 {
			g.Targets = append(g.Targets, at(fmt.Sprintf("10.0.%d.%d:%d", i>>8, i&255, c), "__meta_kubernetes_pod_container_name", "app"))
		}
		return g
	}
	groups := make([]*targetgroup.Group, 10_000)
	for i := range groups {
		groups[i] = pod(i)
	}
	p.sync(groups)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		groups[n%len(groups)] = pod(n % len(groups))
		p.sync(slices.Clone(groups))
	}
	if gone := p.droppedCount(); gone != 5*len(groups) {
		b.Fatalf("%d targets were dropped", gone)
	}
}
