//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// stream is an API server that has pods alone, and tells of changes of them as fast
// as they are read: a thousand times faster than a real one can make them.
type stream struct {
	pods    []*core.Pod
	buffer  []byte
	version int
	changes chan int // how many are to be told
	told    atomic.Int64
}

// frame appends an event of a watch to the buffer.
func (s *stream) frame(verb string, p *core.Pod) error {
	raw, err := p.Marshal()
	if err != nil {
		return err
	}
	o, err := (&runtime.Unknown{Raw: raw, ContentType: "application/vnd.kubernetes.protobuf"}).Marshal()
	if err != nil {
		return err
	}
	event, err := (&metav1.WatchEvent{Type: verb, Object: runtime.RawExtension{Raw: append([]byte("k8s\x00"), o...)}}).Marshal()
	if err != nil {
		return err
	}
	s.buffer = append(binary.BigEndian.AppendUint32(s.buffer, uint32(len(event))), event...)
	return nil
}

// change makes a pod's container start again.
func (s *stream) change(i int) *core.Pod {
	p := s.pods[i%len(s.pods)]
	s.version++
	p.ResourceVersion = strconv.Itoa(s.version)
	c := &p.Status.ContainerStatuses[i/len(s.pods)%len(p.Status.ContainerStatuses)]
	c.RestartCount++
	if c.State.Running != nil {
		c.State = core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	} else {
		c.State = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: metav1.Unix(1_790_000_000+int64(i), 0)}}
	}
	c.Ready = c.State.Running != nil
	return p
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v1/pods" || r.URL.Query().Get("watch") == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf;stream=watch")
	send := func() bool {
		_, err := w.Write(s.buffer)
		s.buffer = s.buffer[:0]
		w.(http.Flusher).Flush()
		return err == nil
	}
	if r.URL.Query().Get("sendInitialEvents") != "" {
		for _, p := range s.pods {
			if s.frame("ADDED", p) != nil {
				return
			}
		}
		end := &core.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.Itoa(s.version), Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}}
		if s.frame("BOOKMARK", end) != nil || !send() {
			return
		}
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case n := <-s.changes:
			for range n {
				i := int(s.told.Load())
				if s.frame("MODIFIED", s.change(i)) != nil || len(s.buffer) > 64<<10 && !send() {
					return
				}
				s.told.Add(1)
			}
			if !send() {
				return
			}
		}
	}
}

// newStream has n pods of three containers.
func newStream(n int) *stream {
	s := &stream{version: 1000, changes: make(chan int)}
	for i := range n {
		p := &core.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprint("team-", i%20), Name: fmt.Sprint("pod-", i), UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)),
				ResourceVersion: "1000", CreationTimestamp: metav1.Unix(1_780_000_000+int64(i), 0), Labels: map[string]string{"app": fmt.Sprint("app-", i%50)}},
			Spec:   core.PodSpec{NodeName: fmt.Sprint("node-", i%60), ServiceAccountName: "default"},
			Status: core.PodStatus{Phase: core.PodRunning, PodIP: fmt.Sprintf("10.0.%d.%d", i/250, i%250), PodIPs: []core.PodIP{{IP: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}}},
		}
		for _, name := range []string{"main", "proxy", "log"} {
			amounts := core.ResourceList{core.ResourceCPU: resource.MustParse("250m"), core.ResourceMemory: resource.MustParse("128Mi")}
			p.Spec.Containers = append(p.Spec.Containers, core.Container{Name: name, Image: "registry.example/" + name + ":1", Resources: core.ResourceRequirements{Limits: amounts, Requests: amounts}})
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, core.ContainerStatus{Name: name, Image: "registry.example/" + name + ":1", Ready: true,
				ContainerID: fmt.Sprintf("containerd://%064d", i), State: core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: metav1.Unix(1_780_000_100, 0)}}})
		}
		s.pods = append(s.pods, p)
	}
	return s
}

// resident is the memory of a process, in MB.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(kb, "kB")), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// However often objects change, the memory stays what it was: 3,000 pods are changed
// 60,000 times, or as often as WATCHPOST_UPDATES says, and scraped ten times in each
// tenth. In the end each is shown as it is.
func TestStateAgentMemoryIsFlat(t *testing.T) {
	beside(t)
	updates := 60_000
	if text := os.Getenv("WATCHPOST_UPDATES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		updates = n
	}
	s := newStream(3000)
	server := httptest.NewServer(s)
	defer server.Close()
	defer server.CloseClientConnections()
	a := startStateAgent(t, "--apiserver="+server.URL, "--resources=pods").ready()
	const steps, scrapes = 10, 10
	var series []float64
	begin := resident(t, a.cmd.Process.Pid)
	for i := range steps * scrapes {
		s.changes <- updates / steps / scrapes
		want := float64(len(s.pods) + (i+1)*(updates/steps/scrapes))
		eventually(t, "all changes read", func() error {
			own := get(t, http.DefaultClient, a.tele+"/metrics")
			_, rest, _ := strings.Cut(own.body, `watchpost_kube_events_total{resource="pods"} `)
			line, _, _ := strings.Cut(rest, "\n")
			if got, err := strconv.ParseFloat(line, 64); err != nil || got < want { // the bookmark is an event, too
				return fmt.Errorf("%q of %v", line, want)
			}
			return nil
		})
		if got := get(t, http.DefaultClient, a.metrics+"/metrics", "Accept-Encoding", "gzip"); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
		if (i+1)%scrapes == 0 {
			series = append(series, resident(t, a.cmd.Process.Pid))
		}
	}
	t.Logf("%d updates of %d pods; MB at the start %.1f, then each tenth %.1f", s.told.Load(), len(s.pods), begin, series)
	// The first two tenths fill the buffers.
	early, late := 0.0, math.Inf(1)
	for i, mb := range series {
		if i < steps/2 {
			early = max(early, mb)
		} else {
			late = min(late, mb)
		}
	}
	if late > early*1.1+2 {
		t.Errorf("it grows: at most %.1f MB in the first half, never below %.1f in the second: %.1f", early, late, series)
	}
	p := a.scrape("")
	for _, pod := range s.pods {
		for _, c := range pod.Status.ContainerStatuses {
			name := fmt.Sprintf(`{__name__="kube_pod_container_status_restarts_total", container=%q, namespace=%q, pod=%q, uid=%q}`, c.Name, pod.Namespace, pod.Name, pod.UID)
			if got := p.series[name]; got != float64(c.RestartCount) {
				t.Fatalf("%s is %v, want %d", name, got, c.RestartCount)
			}
		}
	}
}
