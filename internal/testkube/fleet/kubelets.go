package fleet

// Nodes without machines, in a cluster whose controllers run. Load writes a picture:
// owners that do not exist and leases of long ago, which controllers would tidy away.
// Here the nodes are kept alive, and the pods that are put onto them, by Settle, by the
// scheduler or by a DaemonSet, run as soon as they are there and go when they are deleted.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Taint keeps pods that do not tolerate it off the nodes of Join, whose pods only seem to
// run.
var Taint = core.Taint{Key: "fleet.example/no-machine", Effect: core.TaintEffectNoSchedule}

const (
	// renewal is how often a node's lease is renewed: half as often as by a kubelet, and
	// thrice in the 50 s after which the node controller gives a node up
	// (--node-monitor-grace-period).
	renewal = 15 * time.Second
	// leaseSeconds is for how long, as kubelets have it (nodeLeaseDurationSeconds).
	leaseSeconds = 40
	// scrapedPods is how many pods of Settle there are to one that is to be scraped.
	scrapedPods = 100
)

// Kubelets play the kubelets of nodes.
type Kubelets struct {
	client  kubernetes.Interface
	nodes   map[string]int // number by name
	uids    []types.UID    // of the nodes
	problem func(error)

	pods      cache.SharedInformer
	queue     workqueue.TypedRateLimitingInterface[string] // keys of pods to look at
	addresses atomic.Int64                                 // given to pods so far
	end       context.CancelFunc
	ended     sync.WaitGroup
}

// Join adds that many nodes to a cluster, tainted with Taint, and plays their kubelets
// until Close. What goes wrong later, and is tried again, is told to problem.
func Join(ctx context.Context, config *rest.Config, nodes int, problem func(error)) (*Kubelets, error) {
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	k := &Kubelets{client: client, nodes: make(map[string]int, nodes), uids: make([]types.UID, nodes), problem: problem}
	for i := range nodes {
		k.nodes[nodeName(i)] = i
	}
	if err := each(ctx, nodes, k.register); err != nil {
		return nil, err
	}
	k.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	k.pods = cache.NewSharedInformer(cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", meta.NamespaceAll,
		fields.OneTermNotEqualSelector("spec.nodeName", "")), &core.Pod{}, 0)
	k.pods.SetTransform(func(o any) (any, error) { // fails only on one that runs
		if p, isPod := o.(*core.Pod); isPod {
			p.ManagedFields = nil
		}
		return o, nil
	})
	if _, err := k.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: k.look, UpdateFunc: func(_, o any) { k.look(o) }}); err != nil {
		return nil, err
	}
	ctx, k.end = context.WithCancel(context.Background()) // until Close
	k.ended.Go(func() { k.pods.RunWithContext(ctx) })
	k.ended.Go(func() { k.renew(ctx) })
	for range writers / 2 {
		k.ended.Go(func() { k.work(ctx) })
	}
	return k, nil
}

// Close ends the kubelets. Nodes and pods stay.
func (k *Kubelets) Close() {
	k.end()
	k.queue.ShutDown()
	k.ended.Wait()
}

// register makes the i-th node and its lease.
func (k *Kubelets) register(ctx context.Context, i int) error {
	n := newNode(Size{}, i)
	n.Spec.Taints = []core.Taint{Taint}
	now := meta.Now()
	for c := range n.Status.Conditions {
		condition := &n.Status.Conditions[c]
		condition.LastHeartbeatTime, condition.LastTransitionTime = now, now
		if condition.Type == core.NodeReady {
			condition.Status, condition.Reason, condition.Message = core.ConditionTrue, "KubeletReady", "kubelet is posting ready status"
		}
	}
	err := patiently(ctx, func() error {
		made, err := create(ctx, api[*core.Node](k.client.CoreV1().Nodes()), n)
		if err != nil {
			return err
		}
		k.uids[i], made.Status = made.UID, n.Status
		_, err = k.client.CoreV1().Nodes().UpdateStatus(ctx, made, meta.UpdateOptions{})
		return err
	})
	if err == nil {
		err = patiently(ctx, func() error { return k.lease(ctx, i) })
	}
	if err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	return nil
}

// lease renews the lease of the i-th node, or makes it.
func (k *Kubelets) lease(ctx context.Context, i int) error {
	name, seconds, at := nodeName(i), int32(leaseSeconds), meta.NowMicro()
	leases := k.client.CoordinationV1().Leases(core.NamespaceNodeLease)
	renewed := fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, at.UTC().Format(meta.RFC3339Micro))
	_, err := leases.Patch(ctx, name, types.MergePatchType, renewed, meta.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = leases.Create(ctx, &coordination.Lease{
		ObjectMeta: meta.ObjectMeta{Name: name, OwnerReferences: []meta.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: k.uids[i]}}},
		Spec:       coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &at},
	}, meta.CreateOptions{})
	return err
}

// renew renews the leases, one after the other, each as often as it has to be.
func (k *Kubelets) renew(ctx context.Context) {
	for i := 0; ; i = (i + 1) % max(1, len(k.nodes)) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewal / time.Duration(max(1, len(k.nodes)))):
		}
		k.ended.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, renewal)
			defer cancel()
			if err := k.lease(ctx, i); err != nil && !errors.Is(err, context.Canceled) {
				k.problem(fmt.Errorf("lease of node %s: %w", nodeName(i), err))
			}
		})
	}
}

// look queues a pod of ours.
func (k *Kubelets) look(o any) {
	p, isPod := o.(*core.Pod)
	if !isPod {
		return
	}
	if _, ours := k.nodes[p.Spec.NodeName]; ours && (p.DeletionTimestamp != nil || p.Status.Phase == core.PodPending) {
		k.queue.Add(p.Namespace + "/" + p.Name)
	}
}

// work does what pods need until Close.
func (k *Kubelets) work(ctx context.Context) {
	for {
		key, end := k.queue.Get()
		if end {
			return
		}
		err := k.tend(ctx, key)
		if err == nil || apierrors.IsNotFound(err) {
			k.queue.Forget(key)
		} else if ctx.Err() == nil {
			if !apierrors.IsConflict(err) { // of which the watch has news already, or in a moment
				k.problem(fmt.Errorf("pod %s: %w", key, err))
			}
			k.queue.AddRateLimited(key)
		}
		k.queue.Done(key)
	}
}

// tend lets a pod run, or ends it.
func (k *Kubelets) tend(ctx context.Context, key string) error {
	o, found, err := k.pods.GetStore().GetByKey(key)
	if err != nil || !found {
		return err
	}
	p := o.(*core.Pod)
	pods := k.client.CoreV1().Pods(p.Namespace)
	if p.DeletionTimestamp != nil {
		var at0 int64
		return pods.Delete(ctx, p.Name, meta.DeleteOptions{GracePeriodSeconds: &at0, Preconditions: &meta.Preconditions{UID: &p.UID}})
	}
	if p.Status.Phase != core.PodPending {
		return nil
	}
	p = p.DeepCopy()
	k.run(p)
	_, err = pods.UpdateStatus(ctx, p, meta.UpdateOptions{})
	return err
}

// run gives a pod the status of one whose containers run.
func (k *Kubelets) run(p *core.Pod) {
	now, node, r := meta.Now().Rfc3339Copy(), nodeIP(k.nodes[p.Spec.NodeName]), random("run "+p.Namespace+"/"+p.Name, 0)
	s := core.PodStatus{Phase: core.PodRunning, QOSClass: p.Status.QOSClass, StartTime: &now, HostIP: node, HostIPs: []core.HostIP{{IP: node}}, PodIP: node}
	if !p.Spec.HostNetwork {
		s.PodIP = podIP(int(k.addresses.Add(1)))
	}
	s.PodIPs = []core.PodIP{{IP: s.PodIP}}
	for _, c := range p.Spec.InitContainers {
		cs := core.ContainerStatus{Name: c.Name, Image: c.Image}
		revive(&cs, now, r)
		cs.State = core.ContainerState{Terminated: &core.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: cs.ContainerID}}
		s.InitContainerStatuses = append(s.InitContainerStatuses, cs)
	}
	for _, c := range p.Spec.Containers {
		cs := core.ContainerStatus{Name: c.Name, Image: c.Image}
		revive(&cs, now, r)
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
	}
	for _, t := range []core.PodConditionType{core.PodReadyToStartContainers, core.PodInitialized, core.PodReady, core.ContainersReady, core.PodScheduled} {
		s.Conditions = append(s.Conditions, core.PodCondition{Type: t, Status: core.ConditionTrue, LastTransitionTime: now})
	}
	p.Status = s
}

// Settle makes that many pods of one container on the nodes, in as many namespaces as a
// fleet has, and returns when all of them run. They belong to nobody; one in a hundred
// is annotated to be scraped.
func (k *Kubelets) Settle(ctx context.Context, pods int) error {
	size := Size{Pods: pods, Nodes: len(k.nodes)}
	if err := size.check(); err != nil {
		return err
	}
	if err := each(ctx, namespaces, k.namespace); err != nil {
		return err
	}
	err := each(ctx, pods, func(ctx context.Context, i int) error {
		p := settled(size, i)
		return patiently(ctx, func() error {
			_, err := create(ctx, api[*core.Pod](k.client.CoreV1().Pods(p.Namespace)), p)
			return err
		})
	})
	if err != nil {
		return err
	}
	for {
		running := 0
		for _, o := range k.pods.GetStore().List() {
			if p := o.(*core.Pod); strings.HasPrefix(p.Namespace, namespacePrefix) && p.Status.Phase == core.PodRunning {
				running++
			}
		}
		if running >= pods {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods run: %w", running, pods, context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

// namespace makes the i-th namespace, and waits for its service account, without which
// there are no pods where the control plane is as on any cluster.
func (k *Kubelets) namespace(ctx context.Context, i int) error {
	n := newNamespace(Size{}, i)
	if err := patiently(ctx, func() error {
		_, err := create(ctx, api[*core.Namespace](k.client.CoreV1().Namespaces()), n)
		return err
	}); err != nil {
		return err
	}
	for {
		_, err := k.client.CoreV1().ServiceAccounts(n.Name).Get(ctx, "default", meta.GetOptions{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("service account default of namespace %s: %w", n.Name, errors.Join(err, context.Cause(ctx)))
		case <-time.After(firstPause):
		}
	}
}

// settled is the i-th pod of Settle.
func settled(size Size, i int) *core.Pod {
	w := workloadOf(size, i)
	p := &core.Pod{ObjectMeta: podMeta(size, i), Spec: podSpec(w)}
	p.Name, p.OwnerReferences = fmt.Sprintf("%s-%d", app(w), i), nil // an owner that is not there would be the end of it
	if i%scrapedPods != 0 {
		delete(p.Annotations, "prometheus.io/scrape")
	}
	p.Spec.NodeName, p.Spec.ServiceAccountName = nodeName(i%size.Nodes), ""
	p.Spec.InitContainers, p.Spec.Containers = nil, p.Spec.Containers[:1]
	p.Spec.Tolerations = []core.Toleration{{Key: Taint.Key, Operator: core.TolerationOpExists}}
	return p
}
