package promstack

// Remote write. What the storage (or, in agent mode, the log alone) has taken is read
// back from the log on disk, sent to each endpoint of remote_write, and how far the
// endpoint has taken it is noted beside the log. A queue begins where the note says:
// after a restart, a kill or a reload nothing that the log still holds is left out.
// Prometheus' own queue begins with what is newer than its start, and cannot be told
// otherwise; it is replaced here, under the names of its metrics.
//
//	forward.go         the queues that the configuration asks for
//	forwardlog.go      one queue: reads the log, deals the samples out to its shards
//	forwardshard.go    one shard: sends batches in their order, again where they failed
//	forwardmark.go     the note of how far an endpoint has got
//	forwardwire.go     the bytes of a request
//	forwardclient.go   what an endpoint's answer says, and whether it is a receiver at all
//	forwardmetrics.go  the metrics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/prometheus/prometheus/util/notifications"
	"go.yaml.in/yaml/v2"
)

// pauseWait is how long a queue that a reload ends may wait for the answers to the
// requests under way. What they do not tell is sent again by the next queue.
const pauseWait = 5 * time.Second

// forwarder holds the queues. Its methods may be called from any goroutine.
type forwarder struct {
	wal     string // folder of the log
	marks   string // folder of the marks
	log     *slog.Logger
	quiet   *logging.Deduper
	notes   *notifications.Notifications
	metrics *forwardMetrics
	readers *wlog.LiveReaderMetrics
	scrapes remote.ReadyScrapeManager
	flush   time.Duration     // for a stop to send what is left
	taken   func(until int64) // nil, or told up to which time every endpoint has taken all, in ms since 1970

	mu     sync.Mutex
	first  bool // no configuration was taken over yet
	queues map[string]*queue
	all    atomic.Pointer[[]*queue] // the same, to be read at every commit
}

// newForwarder forwards what is written to the log below dir, the data directory.
func newForwarder(dir string, log *slog.Logger, reg prometheus.Registerer, notes *notifications.Notifications,
	scrapes remote.ReadyScrapeManager, flush time.Duration) *forwarder {
	// A receiver that is down fails every shard's every attempt in the same words.
	quiet := logging.Dedupe(log, time.Minute)
	f := &forwarder{
		wal: filepath.Join(dir, "wal"), marks: filepath.Join(dir, marksFolder),
		log: slog.New(quiet), quiet: quiet, notes: notes, scrapes: scrapes, flush: flush,
		queues: make(map[string]*queue), readers: wlog.NewLiveReaderMetrics(reg), first: true,
	}
	f.all.Store(new([]*queue))
	f.metrics = newForwardMetrics(reg)
	return f
}

// Notify implements wlog.WriteNotified: the storage has written to the log.
func (f *forwarder) Notify() {
	f.metrics.committed.Store(time.Now().Unix())
	for _, q := range *f.all.Load() {
		q.notify()
	}
}

// tellTaken tells up to which time every endpoint has taken all, where that is known of
// each.
func (f *forwarder) tellTaken() {
	if f.taken == nil {
		return
	}
	queues, until := *f.all.Load(), int64(math.MaxInt64)
	for _, q := range queues {
		until = min(until, q.taken.Load())
	}
	if len(queues) > 0 && until > 0 {
		f.taken(until)
	}
}

// wantedQueue is a remote_write section as it is to run.
type wantedQueue struct {
	key   string // tells the endpoint from others, across changes of the rest
	same  string // equal for equal sections
	conf  *config.RemoteWriteConfig
	queue *queue // that runs it already, or nil
	writeClient
}

// ApplyConfig ends the queues whose section has changed or gone, and begins new ones
// where the old ones of the same endpoint ended.
func (f *forwarder) ApplyConfig(c *config.Config) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.wanted(c)
	if err != nil {
		return err
	}
	queues := make(map[string]*queue)
	for i, w := range wanted {
		if q := f.queues[w.key]; q != nil && q.same == w.same {
			q.client.Store(&wanted[i].writeClient) // with the secrets of now
			wanted[i].queue = q
			queues[w.key] = q
			delete(f.queues, w.key)
		}
	}
	f.end(f.queues, (*queue).pause) // what is left of the old ones
	known := make(map[string]bool)
	for _, w := range wanted {
		known[w.key] = true
		if w.queue == nil {
			queues[w.key] = newQueue(f, w, c.GlobalConfig.ExternalLabels)
		}
	}
	forgetMarks(f.marks, known, f.log)
	f.queues = queues
	var all []*queue
	for _, w := range wanted {
		q := queues[w.key]
		all = append(all, q)
		if w.queue == nil {
			q.start()
		}
	}
	f.all.Store(&all)
	f.first = false
	return nil
}

// wanted checks all sections before any queue is touched.
func (f *forwarder) wanted(c *config.Config) ([]wantedQueue, error) {
	var wanted []wantedQueue
	hashes, keys := make(map[string]bool), make(map[string]int)
	for _, conf := range c.RemoteWriteConfigs {
		text, err := yaml.Marshal(conf)
		if err != nil {
			return nil, err
		}
		hash := hashed(string(text))
		if hashes[hash] {
			return nil, fmt.Errorf("duplicate remote write configs are not allowed, found duplicate for URL: %s", conf.URL.Redacted())
		}
		hashes[hash] = true
		// Sections without a name that share an address are told apart by their order.
		key := "name " + conf.Name
		if conf.Name == "" {
			key = "url " + conf.URL.String()
		}
		keys[key]++
		w := wantedQueue{
			key:  hashed(fmt.Sprint(key, keys[key])),
			same: hash + c.GlobalConfig.ExternalLabels.String(),
			conf: conf,
		}
		name := hash[:6]
		if conf.Name != "" {
			name = conf.Name
		}
		if w.writeClient, err = newWriteClient(name, conf); err != nil {
			return nil, err
		}
		wanted = append(wanted, w)
	}
	return wanted, nil
}

func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:8])
}

// end ends queues, all at a time.
func (f *forwarder) end(queues map[string]*queue, how func(*queue)) {
	var ending sync.WaitGroup
	for _, q := range queues {
		ending.Go(func() { how(q) })
	}
	ending.Wait()
}

// Close sends what the log has to its end, for as long as a stop may take, and ends
// all queues. Nothing is written to the log any more.
func (f *forwarder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.Store(new([]*queue))
	f.end(f.queues, (*queue).finish)
	f.queues = nil
	f.quiet.Stop()
	return nil
}

// relabelled is how a series is called where it is sent to; false: it is not sent.
func (q *queue) relabelled(l labels.Labels) (labels.Labels, bool) {
	if len(q.external) == 0 && len(q.conf.WriteRelabelConfigs) == 0 {
		return l, true
	}
	q.builder.Reset(l)
	for _, e := range q.external {
		if q.builder.Get(e.Name) == "" {
			q.builder.Set(e.Name, e.Value)
		}
	}
	if !relabel.ProcessBuilder(q.builder, q.conf.WriteRelabelConfigs...) {
		return labels.EmptyLabels(), false
	}
	return q.builder.Labels(), true
}

// notSentNote is what the API's notifications say while an endpoint's answers show
// that it stores nothing.
func (q *queue) notSentNote() string {
	return fmt.Sprintf("Remote write to %s: it answers, but nothing is stored there.", q.endpoint)
}

// wrong notes whether the last answer of the endpoint showed that nothing is stored.
func (q *queue) wrong(why string) {
	if why == "" && !q.odd.Load() {
		return // as ever
	}
	q.oddMu.Lock()
	defer q.oddMu.Unlock()
	if q.odd.Swap(why != "") == (why != "") {
		return
	}
	if why == "" {
		q.gauges.notStored.Set(0)
		q.set.notes.DeleteNotification(q.notSentNote())
		return
	}
	q.gauges.notStored.Set(1)
	q.set.notes.AddNotification(q.notSentNote())
}

// sleep waits, and says whether it was not woken up by the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

var errStopped = errors.New("stopped")

// oneLine keeps what an endpoint says in one line of the log.
func oneLine(b []byte) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "?")), " ")
}
