package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/run"
	"watchpost/internal/words"
)

// A watcher lists the objects of a resource, in one namespace or in all, and then
// watches them, rendering each into a source and keeping none. The protocol:
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
//
// Where the server has it, the list comes as the beginning of the watch (streaming
// lists, Kubernetes 1.32 and later), else in pages.

// Times and amounts of a watcher.
const (
	// pageSize is how many objects a page of a list has, client-go's number.
	pageSize = 500
	// A watch is asked to end after a time between these, as client-go has it, so
	// that watches spread over the API servers again.
	minWatch, maxWatch = 5 * time.Minute, 10 * time.Minute
	// watchGrace is how much later a watch is given up that did not end.
	watchGrace = 30 * time.Second
	// listSilence is how long a list may say nothing.
	listSilence = time.Minute
	// Pauses after failures: the first, and the longest. Each is drawn between half
	// of it and the whole.
	minPause, maxPause = time.Second, 30 * time.Second
	// steady is how long a watch lives that is no failure.
	steady = 10 * time.Second
	// patience is how long a list and watch may fail before the state counts as old.
	patience = time.Minute
)

// watcher is the list and watch of one source.
type watcher struct {
	client    *Client
	resource  *resource
	namespace string
	path      string
	selectors url.Values
	limit     int64 // objects of a list; 0: all
	cached    bool  // lists may come from the API server's cache
	expires   func(v1.Object) int64
	keep      keepFunc

	source  *source
	render  *renderer
	out     rendering
	decoder decoder
	whole   bool // objects are asked for whole, as the server refused another form

	lists  chan struct{} // holds a token for each list under way
	log    *slog.Logger
	now    func() time.Time
	health health
	events atomic.Uint64 // objects that lists and watches told of
}

// health is how it goes with a watcher.
type health struct {
	mu      sync.Mutex
	synced  bool      // one list was complete
	absent  bool      // the server does not know the resource
	err     error     // the last failure, unless it went well since
	failing time.Time // since then; zero: all is well
	success time.Time // the last list or watch that the server answered
	said    string    // the failure that was logged last

	lists, listErrors    uint64
	watches, watchErrors uint64
	panics, large        uint64
	listed               int             // objects in the last list
	causes               map[string]bool // of panics, that were logged
}

// newDecoder reads objects that are asked for in a form, as much of them as families need.
func newDecoder(c *Client, r *resource, f fetch, families []family, keep keepFunc) (decoder, error) {
	switch f {
	case fetchColumns:
		return &tableDecoder{keep: keep}, nil
	case fetchAny:
		return anyDecoder{r, keep}, nil
	}
	sample := any(&v1.PartialObjectMetadata{})
	if f == fetchWhole {
		o, err := c.scheme.New(r.version.WithKind(r.kind))
		if err != nil {
			return nil, fmt.Errorf("BUG: %s: %w", r.name, err)
		}
		sample = o
	}
	make, err := newOf(sample)
	if err != nil {
		return nil, err
	}
	fields := []string{everywhere}
	for _, u := range r.unread {
		needed := u.unless != "" && slices.ContainsFunc(families, func(f family) bool { return strings.Contains(f.Name(), u.unless) })
		if !needed && f == fetchWhole {
			fields = append(fields, u.fields)
		}
	}
	cut, err := newCut(reflect.TypeOf(sample), fields)
	return &protobufDecoder{new: make, keep: keep, cut: cut}, err
}

// fetch is how objects are asked for.
func (w *watcher) fetch() fetch {
	if w.whole {
		return fetchWhole
	}
	return w.resource.fetch
}

// run lists and watches until the context ends.
func (w *watcher) run(ctx context.Context) {
	version, failures := "", 0
	for ctx.Err() == nil {
		began := w.now()
		next, err := w.step(ctx, version)
		if ctx.Err() != nil {
			return
		}
		lived := w.now().Sub(began)
		if lived >= steady {
			failures = 0
		}
		switch {
		case err == nil && (version == "" || lived > minPause):
			version = next
			continue
		case err == nil: // a watch that ended at once
			version = next
		case expired(err):
			w.log.Debug("The API server does not know what happened since, so all is listed again", "version", next, "error", err)
			version = ""
			if failures++; failures == 1 {
				continue
			}
		default:
			version = next
			w.failed(err)
		}
		failures++
		run.Sleep(ctx, pause(failures, err))
	}
}

// step lists, or watches from a version on; it returns the version to go on from.
func (w *watcher) step(ctx context.Context, version string) (string, error) {
	if version != "" {
		return w.stream(ctx, version, nil)
	}
	select {
	case w.lists <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	release := sync.OnceFunc(func() { <-w.lists })
	defer release()
	if w.limit > 0 || w.client.pages.Load() {
		return w.list(ctx)
	}
	version, err := w.stream(ctx, "", release)
	switch statusCode(err) {
	case http.StatusUnprocessableEntity:
		if w.client.pages.CompareAndSwap(false, true) {
			w.log.Info("The API server does not stream lists; they are read in pages", "error", err)
		}
		return w.list(ctx)
	case http.StatusForbidden: // to watch; to list, which is another right, may be allowed
		return w.list(ctx)
	}
	return version, err
}

// expired tells whether the server no longer has the history that was asked for.
func expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// pause is how long to wait after so many failures.
func pause(failures int, err error) time.Duration {
	d := maxPause
	if failures < 6 {
		d = min(maxPause, minPause<<(failures-1))
	}
	if seconds, asked := apierrors.SuggestsClientDelay(err); asked {
		d = max(d, min(time.Duration(seconds)*time.Second, maxPause))
	}
	return d/2 + rand.N(d/2)
}

// request makes a query of the watcher's selectors and more.
func (w *watcher) request(pairs ...string) url.Values {
	q := url.Values{}
	for k, v := range w.selectors {
		q[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

// list reads all objects, in pages.
func (w *watcher) list(ctx context.Context) (version string, err error) {
	page := strconv.Itoa(pageSize)
	if w.limit > 0 {
		page = strconv.FormatInt(w.limit, 10)
	}
	q := w.request("limit", page)
	if w.cached {
		q.Set("resourceVersion", "0")
	}
	w.source.begin()
	listed := 0
	for {
		meta, err := w.page(ctx, q, &listed)
		if expired(err) && q.Has("continue") { // the list takes longer than etcd keeps history
			q = w.request()
			w.source.begin()
			listed = 0
			continue
		}
		if err != nil {
			return "", err
		}
		if meta.Continue == "" || w.limit > 0 && int64(listed) >= w.limit {
			w.source.commit()
			w.synced(listed)
			return meta.ResourceVersion, nil
		}
		q.Set("continue", meta.Continue)
		q.Del("resourceVersion") // the token has it
	}
}

func (w *watcher) page(ctx context.Context, q url.Values, listed *int) (meta v1.ListMeta, err error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	body, err := w.ask(ctx, q, false)
	w.count(&w.health.lists, &w.health.listErrors, err)
	if err != nil {
		return meta, err
	}
	defer body.Close()
	meta, err = w.decoder.list(&guarded{body, listSilence, giveUp}, func(o v1.Object) error {
		if w.limit > 0 && int64(*listed) >= w.limit {
			return nil // the version stands at the end of some lists
		}
		*listed++
		w.events.Add(1)
		w.put(o)
		return nil
	})
	return meta, cause(ctx, err)
}

// cause is why reading failed: where it was given up the reason for that.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// stream watches from a version on, or, with "", reads all objects first; listed is
// called when that is done. It returns the version to go on from, "" when a list was
// not complete.
func (w *watcher) stream(ctx context.Context, version string, listed func()) (string, error) {
	timeout := minWatch + rand.N(maxWatch-minWatch)
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	late := time.AfterFunc(timeout+watchGrace, func() { giveUp(errSilent) })
	defer late.Stop()

	q := w.request("watch", "1", "allowWatchBookmarks", "true", "timeoutSeconds", strconv.Itoa(int(timeout.Seconds())))
	listing := version == ""
	if listing {
		q.Set("sendInitialEvents", "true")
		q.Set("resourceVersionMatch", string(v1.ResourceVersionMatchNotOlderThan))
		if w.cached {
			q.Set("resourceVersion", "0")
		}
	} else {
		q.Set("resourceVersion", version)
	}
	answered := make(chan struct{})
	defer time.AfterFunc(listSilence, func() {
		select {
		case <-answered:
		default:
			giveUp(errSilent)
		}
	}).Stop()
	body, err := w.ask(ctx, q, true)
	close(answered)
	w.count(&w.health.watches, &w.health.watchErrors, err)
	if err != nil {
		if listing {
			w.count(&w.health.lists, &w.health.listErrors, err)
		}
		return version, err
	}
	defer body.Close()
	in := &guarded{ReadCloser: body, giveUp: giveUp}
	if listing {
		in.silence = listSilence
		w.source.begin()
	} else {
		w.well()
	}
	objects := 0
	err = w.decoder.watch(in, func(e event) error {
		w.events.Add(1)
		switch e.verb {
		case verbAdded, verbModified:
			if e.object != nil {
				objects++
				w.put(e.object)
			}
		case verbDeleted:
			w.source.remove(e.uid)
		case verbBookmark:
			if listing && e.initial {
				listing = false
				in.silence = 0
				w.source.commit()
				w.count(&w.health.lists, &w.health.listErrors, nil)
				w.synced(objects)
				listed()
			}
		}
		if !listing && e.version != "" {
			version = e.version
		}
		return nil
	})
	err = cause(ctx, err)
	if listing {
		if err == nil {
			err = errors.New("the list ended before it was complete")
		}
		w.count(&w.health.lists, &w.health.listErrors, err)
	} else if err != nil && !expired(err) && statusCode(err) == 0 && !errors.Is(err, errSilent) {
		err = fmt.Errorf("watch: %w", err)
	}
	return version, err
}

// ask makes a request for the watcher's objects. A server that cannot leave out what
// is not needed is asked for whole objects instead.
func (w *watcher) ask(ctx context.Context, q url.Values, watch bool) (body io.ReadCloser, err error) {
	if w.fetch() == fetchColumns {
		q.Set("includeObject", string(v1.IncludeMetadata))
	}
	body, err = w.client.open(ctx, w.path, q, accept(w.fetch(), watch))
	if statusCode(err) != http.StatusNotAcceptable || w.fetch() != fetchMetadata && w.fetch() != fetchColumns {
		return body, cause(ctx, err)
	}
	w.log.Warn("The API server does not give parts of objects, so they are read whole", "error", err)
	whole, failed := newDecoder(w.client, w.resource, fetchWhole, w.render.chosen, w.keep)
	if failed != nil {
		return nil, failed
	}
	w.whole, w.decoder = true, convertingDecoder{whole, partOf(w.resource.fetch)}
	q.Del("includeObject")
	body, err = w.client.open(ctx, w.path, q, accept(fetchWhole, watch))
	return body, cause(ctx, err)
}

// partOf makes of a whole object what was to be asked for.
func partOf(f fetch) func(v1.Object) v1.Object {
	return func(o v1.Object) v1.Object {
		meta := *o.(v1.ObjectMetaAccessor).GetObjectMeta().(*v1.ObjectMeta)
		if f == fetchMetadata {
			return &v1.PartialObjectMetadata{ObjectMeta: meta}
		}
		r := &row{ObjectMeta: meta, columns: map[string]string{}}
		if s, ok := o.(*core.Secret); ok {
			r.columns["Type"] = string(s.Type)
		}
		return r
	}
}

// put renders an object into the source. One that cannot be rendered has no samples.
func (w *watcher) put(o v1.Object) {
	if !w.rendered(o) {
		w.source.remove(o.GetUID())
		return
	}
	expires := int64(0)
	if w.expires != nil {
		expires = w.expires(o)
	}
	w.source.put(o.GetUID(), &w.out, expires)
	if cap(w.out.text) > 1<<20 { // not to be kept by each of a hundred watches
		w.out = rendering{}
	}
}

func (w *watcher) rendered(o v1.Object) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
			w.panicked(o, r, debug.Stack())
		}
	}()
	w.render.render(o, &w.out)
	for i := range w.out.ends {
		if n := len(w.out.of(i)); n > maxText {
			w.large(o, n)
			return false
		}
	}
	return true
}

// maxCauses bounds how many causes of panics are remembered as logged.
const maxCauses = 100

func (w *watcher) panicked(o v1.Object, r any, stack []byte) {
	h := &w.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.panics++
	text := fmt.Sprint(r)
	if h.causes[text] || len(h.causes) >= maxCauses {
		return
	}
	if h.causes == nil {
		h.causes = map[string]bool{}
	}
	h.causes[text] = true
	w.log.Error("BUG: an object cannot be rendered and has no samples; the same fault of others is only counted",
		"object", nameOf(o), "panic", text, "stack", string(stack))
}

func (w *watcher) large(o v1.Object, n int) {
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	if w.health.large++; w.health.large == 1 {
		w.log.Error("An object has too much text in one family and has no samples; others are only counted",
			"object", nameOf(o), "bytes", n, "limit", maxText)
	}
}

func nameOf(o v1.Object) string { return strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/") }

// count counts an answer of the server.
func (w *watcher) count(well, failed *uint64, err error) {
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	if err == nil {
		*well++
	} else {
		*failed++
	}
}

// synced notes that a list was complete.
func (w *watcher) synced(listed int) {
	w.health.mu.Lock()
	w.health.synced, w.health.absent, w.health.listed = true, false, listed
	w.health.mu.Unlock()
	w.log.Debug("Listed", "objects", listed)
	w.well()
}

// well notes that the server answers.
func (w *watcher) well() {
	h := &w.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.said != "" {
		w.log.Info("The API server answers again", "after", w.now().Sub(h.failing).Round(time.Second).String())
	}
	h.err, h.failing, h.said, h.success = nil, time.Time{}, "", w.now()
}

// failed notes a failure, and logs it where it is a new one. A resource that the
// server does not know has no objects: at once where there were none before, and
// where there were when it is so for a while.
func (w *watcher) failed(err error) {
	h := &w.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	if h.failing.IsZero() {
		h.failing = w.now()
	}
	unknown := statusCode(err) == http.StatusNotFound
	if unknown && !h.absent && (!h.synced || w.now().Sub(h.failing) > patience) {
		w.source.begin()
		w.source.commit()
		h.absent, h.synced = true, true
		w.log.Info("The API server does not know this resource; it is asked again", "error", err)
		h.said = words.OneLine(err)
	}
	h.absent = h.absent && unknown
	if text := words.OneLine(err); text != h.said {
		h.said = text
		w.log.Warn("Cannot list or watch; what was known stays", "error", text)
	}
}

// status is how it goes: synced, and the failure where there is one that is told.
func (w *watcher) status() (synced bool, err error) {
	h := &w.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.synced && h.err != nil:
		return false, fmt.Errorf("not listed yet: %s", words.OneLine(h.err))
	case !h.synced:
		return false, errors.New("not listed yet")
	case !h.absent && !h.failing.IsZero() && w.now().Sub(h.failing) >= patience:
		return true, fmt.Errorf("failing for %s: %s", w.now().Sub(h.failing).Round(time.Second), words.OneLine(h.err))
	}
	return true, nil
}

// podEnd is when a pod was finished, zero where it is not: the end of its last
// container, else the last change of a condition, else its creation.
func podEnd(p *core.Pod) (end time.Time) {
	if p.Status.Phase != core.PodSucceeded && p.Status.Phase != core.PodFailed {
		return end
	}
	later := func(t time.Time) {
		if t.After(end) {
			end = t
		}
	}
	for _, statuses := range [][]core.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range statuses {
			if t := statuses[i].State.Terminated; t != nil {
				later(t.FinishedAt.Time)
			}
		}
	}
	if end.IsZero() {
		for i := range p.Status.Conditions {
			later(p.Status.Conditions[i].LastTransitionTime.Time)
		}
	}
	if end.IsZero() {
		end = p.CreationTimestamp.Time
	}
	return end
}
