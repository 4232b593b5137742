package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Churn gathers the pods of a fleet and changes them until ctx ends; see Herd.
func Churn(ctx context.Context, config *rest.Config, size Size, perSecond int) (int, error) {
	h, err := Gather(ctx, config, size)
	if err != nil {
		return 0, err
	}
	return h.Churn(ctx, perSecond)
}

// Herd changes the pods of a fleet. It remembers what it has written, so that an update
// is one request.
type Herd struct {
	client kubernetes.Interface
	size   Size
	pods   []memory
}

// memory is what is known of a pod.
type memory struct {
	mu     sync.Mutex
	status []byte // as it was last written, in protobuf
}

// gatherPage is how many pods are read at a time.
const gatherPage = 500

// Gather reads the statuses of the pods of a fleet of that size.
func Gather(ctx context.Context, config *rest.Config, size Size) (*Herd, error) {
	if err := size.check(); err != nil {
		return nil, err
	}
	if size.Pods == 0 {
		return nil, errors.New("there is nothing to change: needs pods")
	}
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	h := &Herd{client, size, make([]memory, size.Pods)}
	numbers := make(map[[2]string]int, size.Pods)
	for i := range size.Pods {
		namespace, name := podName(size, i)
		numbers[[2]string{namespace, name}] = i
	}
	for page := (meta.ListOptions{Limit: gatherPage}); ; {
		list, err := client.CoreV1().Pods("").List(ctx, page)
		if err != nil {
			return nil, err
		}
		for k := range list.Items {
			p := &list.Items[k]
			i, ours := numbers[[2]string{p.Namespace, p.Name}]
			if !ours {
				continue
			}
			delete(numbers, [2]string{p.Namespace, p.Name})
			if h.pods[i].status, err = p.Status.Marshal(); err != nil {
				return nil, fmt.Errorf("BUG: status of %s: %w", p.Name, err)
			}
		}
		if page.Continue = list.Continue; page.Continue == "" {
			break
		}
	}
	for missing := range numbers {
		return nil, fmt.Errorf("no fleet of %s was loaded here: there is no pod %s in namespace %s", size, missing[1], missing[0])
	}
	return h, nil
}

// Churn changes the status of random pods, as kubelets do when containers crash and
// come back, perSecond times a second until ctx ends, and returns how many changes
// were made. They are fewer where the API server does not keep up; what was missed
// is then made up for as far as it can.
func (h *Herd) Churn(ctx context.Context, perSecond int) (int, error) {
	if perSecond <= 0 {
		return 0, errors.New("there is nothing to change: needs a positive number of updates a second")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var made atomic.Int64
	var all sync.WaitGroup
	due := make(chan int)
	for range writers {
		all.Go(func() {
			for i := range due {
				if err := patiently(ctx, func() error { return h.change(ctx, i) }); err == nil {
					made.Add(1)
				} else if ctx.Err() == nil {
					cancel(err)
				}
			}
		})
	}
	schedule(ctx, perSecond, h.size, due)
	close(due)
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return int(made.Load()), err
	}
	return int(made.Load()), nil
}

// schedule sends the number of a random pod perSecond times a second until ctx ends.
func schedule(ctx context.Context, perSecond int, size Size, due chan<- int) {
	r, begun := random("churn", perSecond), time.Now()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(perSecond)))):
		}
		select {
		case <-ctx.Done():
			return
		case due <- changing(r, size):
		}
	}
}

// changing is the number of a pod that has not completed.
func changing(r *rand.Rand, size Size) int {
	for {
		if i := r.IntN(size.Pods); stateOf(i) != completed {
			return i
		}
	}
}

// change is one update of the i-th pod: where all its containers run one crashes,
// otherwise all run again. The metadata is what the pod was made with, and a spec is
// not needed: the API server takes nothing but the status and the metadata. The pod
// that it answers with is not decoded: the machine that is measured has better to do.
func (h *Herd) change(ctx context.Context, i int) error {
	m := &h.pods[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &core.Pod{ObjectMeta: podMeta(h.size, i)}
	if err := p.Status.Unmarshal(m.status); err != nil {
		return fmt.Errorf("BUG: status of %s: %w", p.Name, err)
	}
	Advance(p, meta.Now().Rfc3339Copy())
	status, err := p.Status.Marshal()
	if err != nil {
		return fmt.Errorf("BUG: status of %s: %w", p.Name, err)
	}
	put := h.client.CoreV1().RESTClient().Put().Namespace(p.Namespace).Resource("pods").Name(p.Name).SubResource("status")
	if err := put.Body(p).Do(ctx).Error(); err != nil {
		return err
	}
	m.status = status
	return nil
}

// Advance changes the status of a pod of a fleet at the time now, as Churn does: where
// all its containers run one crashes, otherwise all run again.
func Advance(p *core.Pod, now meta.Time) {
	r := random("advance "+p.Name, int(now.UnixNano()))
	revived := false
	for c := range p.Status.ContainerStatuses {
		if s := &p.Status.ContainerStatuses[c]; s.State.Running == nil {
			revive(s, now, r)
			revived = true
		}
	}
	ready, reason, message := core.ConditionTrue, "", ""
	if !revived && len(p.Status.ContainerStatuses) > 0 {
		s := &p.Status.ContainerStatuses[r.IntN(len(p.Status.ContainerStatuses))]
		crash(s, now)
		ready, reason, message = core.ConditionFalse, "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", s.Name)
	}
	p.Status.Phase = core.PodRunning
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; (c.Type == core.PodReady || c.Type == core.ContainersReady) && c.Status != ready {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = ready, reason, message, now
		}
	}
}

// revive lets a container run, as a new one.
func revive(s *core.ContainerStatus, now meta.Time, r *rand.Rand) {
	yes := true
	s.Ready, s.Started = true, &yes
	s.ContainerID = "containerd://" + hex(r, 64)
	if s.ImageID == "" {
		s.ImageID = s.Image + "@sha256:" + hex(r, 64)
	}
	s.State = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}}
}
