// Package fleet fills an API server with the objects of a large cluster, with
// statuses as kubelets and controllers write them, and lets its pods change. It is
// for benchmarks and for tests of scale; no controller has to run.
//
// Everything follows from the number of an object: two loads of one size make the
// same objects, apart from what the API server adds (uid, times, versions).
package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Size is how many objects a fleet has.
type Size struct {
	Pods  int // in 50 namespaces, each of three containers and an init container
	Nodes int // and as many leases; pods are spread over them
	// Other is the number of each of the other usual kinds: deployments, replica
	// sets, stateful sets, daemon sets, jobs, cron jobs, services, endpoints, endpoint
	// slices, config maps, secrets, service accounts, autoscalers, disruption budgets,
	// ingresses, network policies, volume claims, volumes.
	Other int
}

// String is the size in words.
func (s Size) String() string {
	return fmt.Sprintf("%d pods, %d nodes, %d of each other kind", s.Pods, s.Nodes, s.Other)
}

func (s Size) check() error {
	if s.Pods < 0 || s.Nodes < 0 || s.Other < 0 || s.Pods > 0 && s.Nodes == 0 {
		return fmt.Errorf("a fleet of %s: no number may be negative, and pods need a node", s)
	}
	return nil
}

const (
	namespaces = 50
	// writers write at once; more of them only wait for etcd.
	writers = 32
	// reportInterval is how often Load tells how far it is.
	reportInterval = 5 * time.Second
	// A write that the API server puts off (429, 5xx, a broken connection) is tried
	// again, attempts times in all, after a pause that doubles.
	attempts   = 6
	firstPause = 100 * time.Millisecond
)

// The marker is a config map that tells which fleet was loaded completely.
const (
	markerNamespace = "kube-system"
	markerName      = "fleet"
	markerKey       = "size"
)

// userAgent names whoever writes, the same in every program that uses the fleet: the
// API server keeps an account of fields for each name, and goes through all of them at
// each update. A pod of a real cluster has one kubelet.
const userAgent = "fleet"

// newClient writes as fast as it is answered, in protobuf.
func newClient(c *rest.Config) (kubernetes.Interface, error) {
	c = rest.CopyConfig(c)
	c.UserAgent = userAgent
	c.QPS, c.Burst = -1, 0               // no limit
	c.WarningHandler = rest.NoWarnings{} // such as of endpoints, which are meant
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	return kubernetes.NewForConfig(c)
}

// Load makes the objects of a fleet. What an interrupted load has left is completed;
// where a fleet of the same size is loaded already nothing is done, and one of
// another size is an error. progress, if not nil, is told how far it is.
func Load(ctx context.Context, config *rest.Config, size Size, progress func(string)) error {
	if err := size.check(); err != nil {
		return err
	}
	if progress == nil {
		progress = func(string) {}
	}
	client, err := newClient(config)
	if err != nil {
		return err
	}
	markers := client.CoreV1().ConfigMaps(markerNamespace)
	marker, err := markers.Get(ctx, markerName, meta.GetOptions{})
	if err == nil {
		if found := marker.Data[markerKey]; found != size.String() {
			return fmt.Errorf("the cluster has a fleet of %s, not of %s: take an empty one", found, size)
		}
		progress("already loaded: " + size.String())
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("config map %s/%s: %w", markerNamespace, markerName, err)
	}
	for _, k := range kinds {
		if err := k.load(ctx, client, size, progress); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	_, err = markers.Create(ctx, &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: markerName}, Data: map[string]string{markerKey: size.String()},
	}, meta.CreateOptions{})
	return err
}

// kind is one sort of object: how many there are in a fleet, and how the i-th is
// written.
type kind struct {
	name  string
	count func(Size) int
	write func(context.Context, kubernetes.Interface, Size, int) error
}

func (k *kind) load(ctx context.Context, client kubernetes.Interface, size Size, progress func(string)) error {
	n := k.count(size)
	var done atomic.Int64
	begun := time.Now()
	ended := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		t := time.NewTicker(reportInterval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				progress(fmt.Sprintf("%s: %d of %d", k.name, done.Load(), n))
			case <-ended:
				return
			}
		}
	})
	err := each(ctx, n, func(ctx context.Context, i int) error {
		defer done.Add(1)
		return patiently(ctx, func() error { return k.write(ctx, client, size, i) })
	})
	close(ended)
	reporter.Wait()
	if err == nil {
		progress(fmt.Sprintf("%s: %d in %s", k.name, n, time.Since(begun).Round(100*time.Millisecond)))
	}
	return err
}

// each calls f with 0..n-1, several at once, until one fails.
func each(ctx context.Context, n int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(writers, n) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// patiently calls write again where the API server only puts it off.
func patiently(ctx context.Context, write func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := write()
		var status apierrors.APIStatus
		refused := errors.As(err, &status) && !apierrors.IsTooManyRequests(err) && !apierrors.IsServerTimeout(err) &&
			!apierrors.IsTimeout(err) && !apierrors.IsInternalError(err) && !apierrors.IsServiceUnavailable(err) && !apierrors.IsConflict(err)
		if err == nil || refused || attempt == attempts {
			return err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// api is what a typed client of one kind has.
type api[T any] interface {
	Create(context.Context, T, meta.CreateOptions) (T, error)
	Get(context.Context, string, meta.GetOptions) (T, error)
}

// statusAPI is one of a kind with a status.
type statusAPI[T any] interface {
	api[T]
	UpdateStatus(context.Context, T, meta.UpdateOptions) (T, error)
}

// create makes the object, or finds the one that an earlier load made.
func create[T meta.Object](ctx context.Context, a api[T], o T) (T, error) {
	made, err := a.Create(ctx, o, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		made, err = a.Get(ctx, o.GetName(), meta.GetOptions{})
	}
	if err != nil {
		return made, fmt.Errorf("%s/%s: %w", o.GetNamespace(), o.GetName(), err)
	}
	return made, nil
}

// createWithStatus makes the object and writes its status, which set copies into what
// the API server made of it.
func createWithStatus[T meta.Object](ctx context.Context, a statusAPI[T], o T, set func(made, o T)) error {
	made, err := create(ctx, a, o)
	if err != nil {
		return err
	}
	set(made, o)
	if _, err := a.UpdateStatus(ctx, made, meta.UpdateOptions{}); err != nil {
		return fmt.Errorf("%s/%s: status: %w", o.GetNamespace(), o.GetName(), err)
	}
	return nil
}

// without is a kind that has no status.
func without[T meta.Object](name string, count func(Size) int, client func(c kubernetes.Interface, namespace string) api[T], make func(Size, int) T) kind {
	return kind{name, count, func(ctx context.Context, c kubernetes.Interface, size Size, i int) error {
		o := make(size, i)
		_, err := create(ctx, client(c, o.GetNamespace()), o)
		return err
	}}
}

// with is a kind that has one.
func with[T meta.Object](name string, count func(Size) int, client func(c kubernetes.Interface, namespace string) statusAPI[T], make func(Size, int) T, set func(made, o T)) kind {
	return kind{name, count, func(ctx context.Context, c kubernetes.Interface, size Size, i int) error {
		o := make(size, i)
		return createWithStatus(ctx, client(c, o.GetNamespace()), o, set)
	}}
}
