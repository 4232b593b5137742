package kube

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/expo"
	"watchpost/internal/testkube/fleet"
)

// churnUpdates are the pod status updates between two scrapes of BenchmarkChurn: 30 s
// of 200 a second, as bench/state has it.
const churnUpdates = 6000

// churner makes what an API server sends of a fleet whose pods change.
type churner struct {
	size     fleet.Size
	statuses [][]byte // by pod, in protobuf; nil: as it was made
	version  int
	random   *rand.Rand
	now      time.Time
}

func newChurner() *churner {
	return &churner{size: fleet.Size{Pods: benchPods, Nodes: 400, Other: 2000}, statuses: make([][]byte, benchPods),
		random: rand.New(rand.NewPCG(1, 2)), now: time.Unix(1790000000, 0)}
}

// pod is a pod as the API server has it.
func (c *churner) pod(b *testing.B, i int) *core.Pod {
	p := fleet.Pod(c.size, i)
	c.version++
	p.UID = types.UID(fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(i*2654435761), i%65536, i%4096, i*7%4096, i*99991))
	p.ResourceVersion = fmt.Sprint(1000000 + c.version)
	p.CreationTimestamp = v1.Unix(1790000000, 0)
	p.ManagedFields = []v1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: v1.NewFieldsV1(strings.Repeat(`{"f:status":{}}`, 200))}}
	if c.statuses[i] != nil {
		p.Status = core.PodStatus{}
		if err := p.Status.Unmarshal(c.statuses[i]); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// frame is an event of a watch in protobuf.
func (c *churner) frame(b *testing.B, dst []byte, verb string, p *core.Pod) []byte {
	raw, err := p.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Raw: raw}
	answer, err := unknown.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	event := v1.WatchEvent{Type: verb, Object: runtime.RawExtension{Raw: append(bytes.Clone(protobufMagic), answer...)}}
	body, err := event.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(body))), body...)
}

// update is the event of a status that changes, of a random pod.
func (c *churner) update(b *testing.B, dst []byte) []byte {
	i := c.random.IntN(benchPods)
	p := c.pod(b, i)
	c.now = c.now.Add(5 * time.Millisecond)
	fleet.Advance(p, v1.NewTime(c.now.Truncate(time.Second)))
	status, err := p.Status.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	c.statuses[i] = status
	return c.frame(b, dst, verbModified, p)
}

// BenchmarkChurn is what 30 s of 200 pod status updates a second cost: reading the
// events of the watch, rendering, storing, and one scrape. An operation is an update;
// the CPU time of both is told apart, too, which other work on the machine disturbs less.
func BenchmarkChurn(b *testing.B) {
	c, _ := benchStore(b, 0)
	w := c.stores[0].watchers[0]
	fleet := newChurner()
	each := func(e event) error {
		w.put(e.object)
		return nil
	}
	w.source.begin()
	for i := range benchPods {
		if err := w.decoder.watch(bytes.NewReader(fleet.frame(b, nil, verbAdded, fleet.pod(b, i))), each); err != nil {
			b.Fatal(err)
		}
	}
	w.source.commit()
	c.codec.release()
	b.ReportAllocs()
	var events, scrapes time.Duration
	var frames []byte
	var size countWriter
	n, rounds := 0, 0
	for b.Loop() {
		if n%600 == 0 { // some at a time, that the heap is not of the benchmark's own making
			b.StopTimer()
			frames = frames[:0]
			for range 600 {
				frames = fleet.update(b, frames)
			}
			b.StartTimer()
			began := cpuTime(b)
			if err := w.decoder.watch(bytes.NewReader(frames), each); err != nil {
				b.Fatal(err)
			}
			events += cpuTime(b) - began
		}
		if n++; n%churnUpdates == 0 {
			began := cpuTime(b)
			size = 0
			if err := c.Snapshot(nil, nil).WriteGzip(&size, expo.Text); err != nil {
				b.Fatal(err)
			}
			scrapes += cpuTime(b) - began
			rounds++
		}
	}
	b.ReportMetric(float64(events.Microseconds())/float64(n), "event-cpu-µs")
	b.ReportMetric(float64(scrapes.Milliseconds())/float64(max(rounds, 1)), "scrape-cpu-ms")
	b.ReportMetric(float64(size), "gzip-B")
}

// cpuTime is what the process has run so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// countWriter counts what is written.
type countWriter int

func (w *countWriter) Write(p []byte) (int, error) { *w += countWriter(len(p)); return len(p), nil }

var _ io.Writer = (*countWriter)(nil)
