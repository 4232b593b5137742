package kube

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/expo"
)

// benchPods are how many pods the benchmarks are about, each of three containers.
const benchPods = 20000

// benchPod is version v of pod n: a pod of a deployment, as a kubelet reports it.
func benchPod(n, v int) *core.Pod {
	yes := true
	began := v1.Unix(1790000000+int64(n), 0)
	p := &core.Pod{
		ObjectMeta: v1.ObjectMeta{
			Name: fmt.Sprintf("shop-%d-%x-%05x", n%500, n%500*7919+0x5d9c8f, n*31), Namespace: fmt.Sprintf("team-%d", n%50),
			UID:               types.UID(fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(n*2654435761), n%65536, n%4096, n*7%4096, n*99991)),
			ResourceVersion:   fmt.Sprint(1000000 + n + v),
			CreationTimestamp: began,
			Labels:            map[string]string{"app": fmt.Sprintf("shop-%d", n%500), "pod-template-hash": fmt.Sprintf("%x", n%500*7919+0x5d9c8f)},
			OwnerReferences:   []v1.OwnerReference{{Kind: "ReplicaSet", Name: fmt.Sprintf("shop-%d-%x", n%500, n%500*7919+0x5d9c8f), Controller: &yes}},
		},
		Spec: core.PodSpec{NodeName: fmt.Sprintf("node-%d.example", n%400), ServiceAccountName: "default", RestartPolicy: core.RestartPolicyAlways,
			PriorityClassName: "normal", Tolerations: []core.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"}, {Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute"}}},
		Status: core.PodStatus{Phase: core.PodRunning, QOSClass: core.PodQOSBurstable, StartTime: &began,
			PodIP: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), HostIP: fmt.Sprintf("192.168.%d.%d", n%400/250, n%400%250),
			PodIPs: []core.PodIP{{IP: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)}}},
	}
	for _, c := range []core.PodConditionType{core.PodInitialized, core.PodReady, core.ContainersReady, core.PodScheduled} {
		p.Status.Conditions = append(p.Status.Conditions, core.PodCondition{Type: c, Status: core.ConditionTrue, LastTransitionTime: began})
	}
	for i, name := range []string{"shop", "proxy", "logs"} {
		image := fmt.Sprintf("registry.example/%s:v1.%d", name, n%500%20)
		amounts := core.ResourceList{core.ResourceCPU: quantity.MustParse("100m"), core.ResourceMemory: quantity.MustParse("256Mi")}
		p.Spec.Containers = append(p.Spec.Containers, core.Container{Name: name, Image: image, Resources: core.ResourceRequirements{Requests: amounts, Limits: amounts}})
		ready := (n+v)%2 == 0 || i > 0
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, core.ContainerStatus{
			Name: name, Image: image, ImageID: fmt.Sprintf("registry.example/%s@sha256:%064x", name, n%500%20*7907), ContainerID: fmt.Sprintf("containerd://%032x%032x", n*104729+i, n*1299709),
			Ready: ready, RestartCount: int32(v), State: core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: began}}})
		if !ready {
			p.Status.Conditions[1].Status = core.ConditionFalse
		}
	}
	return p
}

// benchStore is a store of pods, the size of its text, and what puts a pod into it.
func benchStore(b *testing.B, pods int) (*Cluster, func(*core.Pod)) {
	i := slices.IndexFunc(resources, func(r *resource) bool { return r.name == "pods" })
	if i < 0 {
		b.Skip("there are no pods in the table of resources")
	}
	c := &Cluster{codec: newCodec(), now: time.Now, log: slog.New(slog.DiscardHandler)}
	c.config.Client = &Client{}
	var err error
	if c.config.Client.scheme, err = newScheme(); err != nil {
		b.Fatal(err)
	}
	s, err := c.newStore(resources[i])
	if err != nil {
		b.Fatal(err)
	}
	c.stores = []*store{s}
	w := s.watchers[0]
	put := func(p *core.Pod) { w.put(p) }
	w.source.begin()
	for n := range pods {
		put(benchPod(n, 0))
	}
	w.source.commit()
	c.codec.release()
	return c, put
}

// BenchmarkStoreFill is a first list. It also tells what an object takes.
func BenchmarkStoreFill(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c, _ := benchStore(b, benchPods)
		runtime.GC()
		runtime.ReadMemStats(&after)
		snap := c.Snapshot(nil, nil)
		var text, segments int64
		snap.segments(expo.Text, func(g *expo.Segment) { text += g.Len; segments++ })
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchPods, "heap-B/object")
		b.ReportMetric(float64(snap.GzipSize(expo.Text))/benchPods, "gzip-B/object")
		b.ReportMetric(float64(text)/benchPods, "text-B/object")
		b.ReportMetric(float64(segments), "segments")
		runtime.KeepAlive(c)
	}
}

func BenchmarkPut(b *testing.B) {
	c, _ := benchStore(b, 2000)
	w := c.stores[0].watchers[0]
	var same, changed [2000]rendering
	for n := range same {
		w.render.render(benchPod(n, 0), &same[n])
		w.render.render(benchPod(n, 1), &changed[n])
	}
	uids := [2000]types.UID{}
	for n := range uids {
		uids[n] = benchPod(n, 0).UID
	}
	b.Run("unchanged", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			w.source.put(uids[i%2000], &same[i%2000], 0)
		}
	})
	b.Run("changed", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			n := i * 7 % 2000
			if i/2000%2 == 0 {
				w.source.put(uids[n], &changed[n], 0)
			} else {
				w.source.put(uids[n], &same[n], 0)
			}
		}
	})
	b.Run("render", func(b *testing.B) {
		b.ReportAllocs()
		p := benchPod(1, 1)
		for b.Loop() {
			w.render.render(p, &w.out)
		}
	})
}

// BenchmarkScrape is a scrape of all pods over a socket whose reader throws it away.
func BenchmarkScrape(b *testing.B) {
	c, _ := benchStore(b, benchPods)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(struct{ io.Writer }{io.Discard}, conn)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.Run("gzip", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Snapshot(nil, nil).WriteGzip(conn, expo.Text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gzip-discarded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Snapshot(nil, nil).WriteGzip(io.Discard, expo.Text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("text-discarded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Snapshot(nil, nil).WriteText(io.Discard, expo.Text); err != nil {
				b.Fatal(err)
			}
		}
	})
	// 30 s of 200 status updates each: what is timed are the events, without their
	// rendering, and the snapshot.
	b.Run("after-6000-updates", func(b *testing.B) {
		w := c.stores[0].watchers[0]
		outs := make([]rendering, 6000)
		uids := make([]types.UID, len(outs))
		b.ReportAllocs()
		for v := 1; b.Loop(); v++ {
			b.StopTimer()
			for i := range outs {
				p := benchPod((i*7919+v*13)%benchPods, v)
				uids[i] = p.UID
				w.render.render(p, &outs[i])
			}
			b.StartTimer()
			for i := range outs {
				w.source.put(uids[i], &outs[i], 0)
			}
			if err := c.Snapshot(nil, nil).WriteGzip(io.Discard, expo.Text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
