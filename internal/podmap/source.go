package podmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"watchpost/internal/fetch"
	"watchpost/internal/run"
	"watchpost/internal/words"
)

// Source keeps a Map current.
type Source interface {
	// Run does so until the context ends.
	Run(ctx context.Context, m *Map)
}

// Getter asks a server; fetch.Client and kubelet.Client do.
type Getter interface {
	Get(ctx context.Context, path string, header ...string) (*fetch.Answer, error)
}

// Times of a Watch, as client-go and the API server have them.
const (
	minPause, maxPause = time.Second, 30 * time.Second
	minWatch, maxWatch = 5 * time.Minute, 10 * time.Minute
	watchGrace         = 30 * time.Second // how much later a watch is given up that did not end
	listTimeout        = time.Minute
	steady             = 10 * time.Second // a watch that lives as long is no failure
	expireInterval     = 15 * time.Second
)

// Watch is one list and watch of the node's pods at the API server
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
type Watch struct {
	Server Getter
	Node   string
	Log    *slog.Logger
}

// Run implements Source.
func (w *Watch) Run(ctx context.Context, m *Map) {
	stop := expiring(ctx, m)
	defer stop()
	version, failures, said := "", 0, ""
	for ctx.Err() == nil {
		began, listing := time.Now(), version == ""
		next, err := w.step(ctx, m, version)
		if ctx.Err() != nil {
			return
		}
		version = next
		lived := time.Since(began)
		if !listing && lived >= steady {
			failures = 0
		}
		switch {
		case err == nil:
			if said != "" {
				said = ""
				w.Log.Info("The pods of this node are known again")
			}
			if listing || lived > minPause {
				continue
			}
		case errors.Is(err, errExpired):
			w.Log.Debug("The pods are listed again", "reason", err)
			version = ""
			if failures++; failures == 1 {
				continue
			}
		default:
			m.state(err)
			if text := words.OneLine(err); text != said {
				said = text
				w.Log.Warn("Cannot list or watch the pods of this node; what was known stays", "error", text)
			}
		}
		failures++
		pause(ctx, failures)
	}
}

// step lists, or watches from a version on; it returns the version to go on from.
func (w *Watch) step(ctx context.Context, m *Map, version string) (string, error) {
	if version == "" {
		return w.list(ctx, m)
	}
	return w.watch(ctx, m, version)
}

func (w *Watch) query(pairs ...string) string {
	q := url.Values{"fieldSelector": {"spec.nodeName=" + w.Node}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/api/v1/pods?" + q.Encode()
}

func (w *Watch) list(ctx context.Context, m *Map) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	// From the server's cache: etcd has no index by node.
	answer, err := w.Server.Get(ctx, w.query("resourceVersion", "0"), "Accept", "application/json")
	if err != nil {
		return "", hint(err)
	}
	defer answer.Close()
	l, err := readList(answer)
	if err != nil {
		return "", err
	}
	if l.Metadata.Continue != "" || l.Metadata.ResourceVersion == "" {
		return "", errors.New("the API server gave only a part of the pods, or no version")
	}
	m.replace(l.Items)
	w.Log.Debug("Listed the pods of this node", "pods", len(l.Items))
	return l.Metadata.ResourceVersion, nil
}

func (w *Watch) watch(ctx context.Context, m *Map, version string) (string, error) {
	timeout := minWatch + rand.N(maxWatch-minWatch)
	ctx, cancel := context.WithTimeout(ctx, timeout+watchGrace)
	defer cancel()
	answer, err := w.Server.Get(ctx, w.query("watch", "1", "allowWatchBookmarks", "true",
		"timeoutSeconds", strconv.Itoa(int(timeout.Seconds())), "resourceVersion", version), "Accept", "application/json")
	if refused := new(fetch.StatusError); errors.As(err, &refused) && refused.Status == http.StatusGone {
		return "", errExpired
	}
	if err != nil {
		return version, hint(err)
	}
	defer answer.Close()
	m.state(nil)
	err = readEvents(answer, func(verb string, o *object) {
		if v := o.Metadata.ResourceVersion; v != "" {
			version = v
		}
		switch verb {
		case "ADDED", "MODIFIED":
			m.put(o)
		case "DELETED":
			m.remove(o.Metadata.UID)
		}
	})
	return version, err
}

// hint adds to a refusal what can be done.
func hint(err error) error {
	if refused := new(fetch.StatusError); errors.As(err, &refused) && refused.Status == http.StatusForbidden {
		return fmt.Errorf("%w; grant list and watch on pods to this program's service account, or take them from the kubelet (--pods.from=kubelet)", err)
	}
	return err
}

// expiring forgets deleted pods in time, until it is stopped.
func expiring(ctx context.Context, m *Map) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(expireInterval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				m.Expire()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// pause waits longer after each failure.
func pause(ctx context.Context, failures int) {
	d := maxPause
	if failures < 6 {
		d = min(maxPause, minPause<<(max(failures, 1)-1))
	}
	run.Sleep(ctx, d/2+rand.N(d/2))
}

// Poll asks the kubelet for its pods at intervals: for clusters that forbid the watch.
type Poll struct {
	Kubelet  Getter
	Interval time.Duration
	Log      *slog.Logger
}

// Run implements Source.
func (p *Poll) Run(ctx context.Context, m *Map) {
	poll(ctx, m, p.Interval, p.Log, "Cannot ask the kubelet for its pods; what was known stays", p.once)
}

// poll asks at intervals until the context ends. failure is what is logged where that
// fails.
func poll(ctx context.Context, m *Map, interval time.Duration, log *slog.Logger, failure string, once func(context.Context, *Map) error) {
	stop := expiring(ctx, m)
	defer stop()
	said, failures := "", 0
	for ctx.Err() == nil {
		err := once(ctx, m)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if said != "" {
				log.Info("The pods of this node are known again")
			}
			said, failures = "", 0
			run.Sleep(ctx, interval)
			continue
		}
		m.state(err)
		if text := words.OneLine(err); text != said {
			said = text
			log.Warn(failure, "error", text)
		}
		failures++
		pause(ctx, failures)
	}
}

func (p *Poll) once(ctx context.Context, m *Map) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	answer, err := p.Kubelet.Get(ctx, "/pods", "Accept", "application/json")
	if err != nil {
		return err
	}
	defer answer.Close()
	l, err := readList(answer)
	if err != nil {
		return err
	}
	m.replace(l.Items)
	return nil
}
