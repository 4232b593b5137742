package proxyagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"watchpost/internal/containers"
	"watchpost/internal/expo"
	"watchpost/internal/fetch"
	"watchpost/internal/serve"
	"watchpost/internal/words"
)

// Getter asks for a page; fetch.Client and kubelet.Client do.
type Getter interface {
	Get(ctx context.Context, path string, header ...string) (*fetch.Answer, error)
}

// Source is a page of metrics that is passed on.
type Source struct {
	Name  string // in the metric labels and in logs
	Path  string // where it is served
	From  Getter
	Page  string   // what From is asked for
	URL   string   // of the page, for people
	Extra []string // labels, names and values in turn, beside those of all sources
	Rules containers.Rules
	// Keep keeps what From has up to date; nil where there is nothing to keep.
	Keep func(ctx context.Context)
	// Own writes what From tells of itself; nil is nothing.
	Own func(w *expo.Writer)
	// Kubelet says that readiness waits for its first answer.
	Kubelet bool
	// Streamed says that it is the one source that is passed on as it is read where
	// all are joined: its families have headers, and nothing of it is held back.
	Streamed bool
}

// source is a Source with its filters.
type source struct {
	Source
	limit   int64
	timeout time.Duration // for one answer; 0 is that of the scrape
	filters *pool
	slots   chan struct{}
	pod     *ofPod  // nil where it is none's
	total   *source // also has the counts; nil is none

	mu       sync.Mutex
	about    *containers.PodLabels // of its pod
	proxy    bool                  // it is a cadvisor-proxy itself
	asked    []containers.Asked    // rules
	counts   containers.Counts
	fetches  uint64
	failures [len(reasons)]uint64
	heard    bool // it was asked once at least, and did or did not answer
	up       bool // the last answer was whole
	answered bool // one was
	err      string
	took     time.Duration

	lastBytes uint64 // that were read of the last answer
}

// pool are the filters of one source, or of several with the same rules and labels,
// that nobody uses.
type pool struct {
	make func() (*containers.Filter, error)
	mu   sync.Mutex
	idle []*containers.Filter
}

func (p *pool) take() (*containers.Filter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		f := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return f, nil
	}
	return p.make()
}

func (p *pool) give(f *containers.Filter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, f)
}

// filters is how many texts of a source are worked on at the same time: as many as
// scrapers usually ask together. Each filter remembers what it knows of the text.
const filters = 2

// Reasons for which a source is not up, by which they are counted.
const (
	unreachable = iota
	refused
	late
	tooLarge
	unreadable
	cut
	misdescribed
)

var reasons = [...]string{
	unreachable: "unreachable", refused: "refused", late: "timeout", tooLarge: "too_large", unreadable: "unreadable", cut: "truncated",
	misdescribed: "annotations",
}

func newSource(s Source, pods containers.Pods, limit int64, labels []string) (*source, error) {
	own := &source{Source: s, limit: limit, slots: make(chan struct{}, filters)}
	own.Extra = append(append([]string(nil), labels...), s.Extra...)
	own.filters = &pool{make: func() (*containers.Filter, error) { return containers.NewFilter(s.Rules, pods, own.Extra...) }}
	f, err := own.filters.take()
	if err != nil {
		return nil, err
	}
	own.count(f)
	own.filters.give(f)
	return own, nil
}

// count makes ready to count by the rules of a filter.
func (s *source) count(f *containers.Filter) {
	s.asked = f.Asked()
	s.counts.ByRule = make([]containers.RuleCount, len(s.asked))
}

// filter is a new one.
func (s *source) filter() (*containers.Filter, error) {
	f, err := s.filters.make()
	if err == nil {
		f.About(s.labels())
	}
	return f, err
}

// labels are those of its pod; nil is none.
func (s *source) labels() *containers.PodLabels {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.about
}

func (s *source) setAbout(pod *containers.PodLabels) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.about = pod
}

// isProxy tells whether it said to be a cadvisor-proxy, whose series would come twice.
func (s *source) isProxy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proxy
}

// textFormat is the format that is asked for. That of an exporter which answers in
// another is refused: what is served is one format.
const textFormat = "text/plain;version=0.0.4;q=1,*/*;q=0.1"

// open asks for the page. The context bounds the answer too.
func (s *source) open(ctx context.Context) (*fetch.Answer, error) {
	header := []string{"Accept", textFormat}
	if end, ok := ctx.Deadline(); ok {
		header = append(header, serve.ScrapeTimeoutHeader, strconv.FormatFloat(time.Until(end).Seconds(), 'f', 3, 64))
	}
	if s.pod != nil {
		header = append(header, proxyHeader, "pods")
	}
	answer, err := s.From.Get(ctx, s.Page, header...)
	if err != nil {
		return nil, err
	}
	media, _, _ := strings.Cut(answer.Type, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "text/plain", "application/octet-stream": // which is what servers say that do not know
		return answer, nil
	}
	answer.Close()
	return nil, fmt.Errorf("%s: the answer is %q, not the text format of metrics", s.URL, answer.Type)
}

// writeError is the error of the reader of an answer, not of its source.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// writer marks the errors of writing.
type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = writeError{err}
	}
	return n, err
}

// fetch passes the page on to dst, through a filter. It is counted unless it is the
// client who has gone.
func (s *source) fetch(ctx context.Context, dst io.Writer) error {
	began := time.Now()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		err := fmt.Errorf("%d scrapes of %s are worked on already: %w", cap(s.slots), cmp.Or(s.total, s).Name, ctx.Err())
		if s.pod != nil {
			return s.done(ctx, began, err)
		}
		return err
	}
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	answer, err := s.open(ctx)
	if status := new(fetch.StatusError); s.pod != nil && errors.As(err, &status) && status.Status == http.StatusLoopDetected {
		s.mu.Lock()
		s.proxy = true
		s.mu.Unlock()
		s.pod.all.again()
		return nil
	}
	if err != nil {
		return s.done(ctx, began, err)
	}
	defer answer.Close()
	f, err := s.filters.take()
	if err != nil {
		return err // seen when the first was made
	}
	f.About(s.labels())
	before := f.Counts
	before.ByRule = slices.Clone(f.ByRule)
	err = f.Copy(writer{dst}, answer, expo.Text, s.limit)
	s.add(before, f.Counts)
	s.filters.give(f)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(writeError)) {
		err = fmt.Errorf("%s: %w", s.URL, err)
	}
	return s.done(ctx, began, err)
}

// add adds what a filter has counted since.
func (s *source) add(before, after containers.Counts) {
	if s.total != nil {
		s.total.add(before, after)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastBytes = after.BytesIn - before.BytesIn
	c := &s.counts
	c.SeriesIn += after.SeriesIn - before.SeriesIn
	c.SeriesOut += after.SeriesOut - before.SeriesOut
	c.BytesIn += after.BytesIn - before.BytesIn
	c.BytesOut += after.BytesOut - before.BytesOut
	c.Stale += after.Stale - before.Stale
	c.PodUnknown += after.PodUnknown - before.PodUnknown
	c.Clashes += after.Clashes - before.Clashes
	for i := range c.ByRule { // a page of a pod has none of its own
		c.ByRule[i].Series += after.ByRule[i].Series - before.ByRule[i].Series
		c.ByRule[i].Bytes += after.ByRule[i].Bytes - before.ByRule[i].Bytes
	}
}

// done notes how an answer went.
func (s *source) done(ctx context.Context, began time.Time, err error) error {
	if err != nil && (errors.As(err, new(writeError)) || errors.Is(context.Cause(ctx), context.Canceled)) {
		return err // which says nothing of the source
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%s: no whole answer in %s", s.URL, time.Since(began).Round(time.Millisecond))
		s.note(began, late, err)
		return err
	}
	s.note(began, reasonOf(err), err)
	return err
}

func (s *source) note(began time.Time, reason int, err error) {
	if s.total != nil {
		s.total.tally(reason, err)
	}
	s.tally(reason, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.up, s.took, s.err = true, err == nil, time.Since(began), ""
	if err != nil {
		s.err = words.OneLine(err)
		return
	}
	s.answered = true
}

func (s *source) tally(reason int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetches++; err != nil {
		s.failures[reason]++
	}
}

func reasonOf(err error) int {
	var status *fetch.StatusError
	var network net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &status):
		return refused
	case errors.Is(err, containers.ErrTooLarge):
		return tooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return cut
	case errors.Is(err, errAnnotations):
		return misdescribed
	case errors.As(err, &op):
		return unreachable
	case errors.As(err, &network) && network.Timeout():
		return late
	case err != nil && (strings.Contains(err.Error(), "line ") || strings.Contains(err.Error(), "the answer is")):
		return unreadable
	}
	return unreachable
}

// state is how it goes with a source.
func (s *source) state() (heard, up, answered bool, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard, s.up, s.answered, s.err
}
