package fleet

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
)

// small has pods in every state.
var small = Size{Pods: 100, Nodes: 3, Other: 20}

func TestLoad(t *testing.T) {
	c := testkube.Start(t, testkube.Options{})
	// One that is interrupted is completed by the next.
	ctx, cancel := context.WithCancel(t.Context())
	err := Load(ctx, c.Config(), small, func(s string) {
		if strings.HasPrefix(s, "config maps: ") {
			cancel()
		}
	})
	cancel()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the interrupted load ended with %v", err)
	}
	var said []string
	if err := Load(t.Context(), c.Config(), small, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if !strings.Contains(strings.Join(said, "\n"), k.name+": ") {
			t.Errorf("nothing was said of %s: %q", k.name, said)
		}
	}

	pods, err := c.Client().CoreV1().Pods("").List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != small.Pods {
		t.Errorf("%d pods, want %d", len(pods.Items), small.Pods)
	}
	phases, reasons := map[core.PodPhase]int{}, map[string]int{}
	before := map[string]*core.Pod{}
	for _, p := range pods.Items {
		before[p.Name] = &p
		phases[p.Status.Phase]++
		if len(p.Status.ContainerStatuses) != 3 || len(p.Status.InitContainerStatuses) != 1 || len(p.Status.Conditions) != 5 {
			t.Errorf("status of %s is %v", p.Name, p.Status)
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Waiting != nil {
				reasons[s.State.Waiting.Reason]++
			}
		}
	}
	if want := map[core.PodPhase]int{core.PodRunning: 95, core.PodPending: 1, core.PodSucceeded: 4}; !reflect.DeepEqual(phases, want) {
		t.Errorf("phases are %v, want %v", phases, want)
	}
	if want := map[string]int{"ImagePullBackOff": 1, "CrashLoopBackOff": 2}; !reflect.DeepEqual(reasons, want) {
		t.Errorf("containers wait for %v, want %v", reasons, want)
	}
	slices, err := c.Client().DiscoveryV1().EndpointSlices("").List(t.Context(), meta.ListOptions{LabelSelector: "team"})
	if err != nil {
		t.Fatal(err)
	}
	if len(slices.Items) != small.Other {
		t.Errorf("%d endpoint slices, want %d", len(slices.Items), small.Other)
	}
	for _, s := range slices.Items {
		for _, p := range s.Ports {
			if p.Name == nil || *p.Name == "" {
				t.Errorf("endpoint slice %s has a port without a name", s.Name)
			}
		}
	}

	said = nil
	if err := Load(t.Context(), c.Config(), small, func(s string) { said = append(said, s) }); err != nil || len(said) != 1 {
		t.Errorf("the second load said %q, %v", said, err)
	}
	if err := Load(t.Context(), c.Config(), Size{Pods: 1, Nodes: 1}, nil); err == nil || !strings.Contains(err.Error(), small.String()) {
		t.Errorf("a load of another size ended with %v", err)
	}

	t.Run("churn", func(t *testing.T) { churns(t, c, before) })
	t.Run("disown", func(t *testing.T) { disowns(t, c, before) })
}

// disowns holds that pods have no managed fields from Disown on, and are otherwise as
// they were, also when they change.
func disowns(t *testing.T, c *testkube.Cluster, before map[string]*core.Pod) {
	if err := Disown(t.Context(), c.Config(), small); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if n, err := Churn(ctx, c.Config(), small, 50); err != nil || n == 0 {
		t.Errorf("%d updates, %v", n, err)
	}
	pods, err := c.Client().CoreV1().Pods("").List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		same(t, &p, before[p.Name])
		if p.ManagedFields != nil {
			t.Errorf("%s has managed fields: %v", p.Name, p.ManagedFields)
		}
		if before[p.Name].ManagedFields == nil {
			t.Errorf("%s had none before", p.Name)
		}
	}
}

// churns holds that pods really change while Churn runs, and that what it says is
// what it did.
func churns(t *testing.T, c *testkube.Cluster, before map[string]*core.Pod) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	made := make(chan int)
	go func() {
		n, err := Churn(ctx, c.Config(), small, 500)
		if err != nil {
			t.Error(err)
		}
		made <- n
	}()
	// At any time some have just crashed and others are back.
	for crashed, back := 0, 0; (crashed < 20 || back < 20) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		pods, err := c.Client().CoreV1().Pods("").List(t.Context(), meta.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		crashed, back = 0, 0
		for _, p := range pods.Items {
			same(t, &p, before[p.Name])
			up, restarts := 0, int32(0)
			for i, s := range p.Status.ContainerStatuses {
				restarts += s.RestartCount - before[p.Name].Status.ContainerStatuses[i].RestartCount
				if s.State.Running != nil {
					up++
				}
			}
			for _, k := range p.Status.Conditions {
				if k.Type == core.PodReady && (k.Status == core.ConditionTrue) != (up == 3) {
					t.Errorf("%s has %d running containers and is ready: %s", p.Name, up, k.Status)
				}
			}
			switch {
			case restarts > 0 && up < 3:
				crashed++
			case restarts > 0:
				back++
			}
		}
	}
	if ctx.Err() != nil {
		t.Error("in five minutes it did not happen that 20 pods were down and 20 were back")
	}
	cancel()
	if n := <-made; n < 60 { // a crash each, and a recovery of some
		t.Errorf("%d updates", n)
	}

	elsewhere := small
	elsewhere.Pods, elsewhere.Other = 100_000, 7
	if _, err := Churn(t.Context(), c.Config(), elsewhere, 1000); err == nil || !strings.Contains(err.Error(), "no fleet of") {
		t.Errorf("pods that are not there changed: %v", err)
	}
}

// same holds that nothing but the status of a pod has changed, and that restarts are
// never fewer.
func same(t *testing.T, p, before *core.Pod) {
	t.Helper()
	if p.UID != before.UID || !reflect.DeepEqual(p.Labels, before.Labels) || !reflect.DeepEqual(p.Annotations, before.Annotations) ||
		!reflect.DeepEqual(p.OwnerReferences, before.OwnerReferences) || !reflect.DeepEqual(p.Spec, before.Spec) {
		t.Errorf("%s is\n%v\nand was\n%v", p.Name, p, before)
	}
	for i, s := range p.Status.ContainerStatuses {
		if b := before.Status.ContainerStatuses[i]; s.RestartCount < b.RestartCount {
			t.Errorf("%s has %d restarts, and had %d", p.Name, s.RestartCount, b.RestartCount)
		}
	}
}

// Objects follow from their numbers alone, and differ.
func TestSame(t *testing.T) {
	for i := range 100 {
		a, b := newPod(small, i), newPod(small, i)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("pod %d is not always the same", i)
		}
		if next := newPod(small, i+1); next.Name == a.Name || next.Status.PodIP == a.Status.PodIP {
			t.Errorf("pods %d and %d are both %s, %s", i, i+1, a.Name, a.Status.PodIP)
		}
		if !reflect.DeepEqual(newSlice(small, i), newSlice(small, i)) || !reflect.DeepEqual(newNode(small, i), newNode(small, i)) {
			t.Fatalf("endpoint slice or node %d is not always the same", i)
		}
	}
}

func TestBadSizes(t *testing.T) {
	for _, s := range []Size{{Pods: -1}, {Nodes: -1}, {Other: -1}, {Pods: 1}} {
		if err := Load(t.Context(), nil, s, nil); err == nil {
			t.Errorf("%s loaded", s)
		}
		if _, err := Churn(t.Context(), nil, s, 1); err == nil {
			t.Errorf("%s changed", s)
		}
	}
	if _, err := Churn(t.Context(), nil, Size{Nodes: 1}, 1); err == nil {
		t.Error("no pods changed")
	}
}
