//go:build e2e

package e2e

// Remote write across kills and outages: what the collector has stored is at the
// receiver in the end, whatever happened to either.

import (
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// receiver is a stand-in for one of remote write 1.0. It keeps which samples have come,
// and what came in an order that a strict receiver refuses.
type receiver struct {
	web string // host:port

	mu      sync.Mutex
	down    bool
	got     map[string]map[int64]float64 // by series and time in ms
	last    map[string]int64
	late    int // samples older than one of the same series that came before, and not known
	repeats int // samples that were there already
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: make(map[string]map[int64]float64), last: make(map[string]int64)}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.web = s.Listener.Addr().String()
	return r
}

func (r *receiver) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := r.take(raw); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// eachField calls do with the fields of a protobuf message: bytes, or the bits of a
// number.
func eachField(b []byte, do func(field protowire.Number, bytes []byte, bits uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var bytes []byte
		var bits uint64
		switch kind {
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(b)
		default:
			return fmt.Errorf("field %d is of kind %d", field, kind)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := do(field, bytes, bits); err != nil {
			return err
		}
	}
	return nil
}

// take reads a WriteRequest.
func (r *receiver) take(raw []byte) error {
	return eachField(raw, func(field protowire.Number, series []byte, _ uint64) error {
		if field != 1 {
			return nil // metadata
		}
		var name []string
		return eachField(series, func(field protowire.Number, part []byte, _ uint64) error {
			switch field {
			case 1:
				var pair [2]string
				err := eachField(part, func(field protowire.Number, text []byte, _ uint64) error {
					pair[field-1] = string(text)
					return nil
				})
				name = append(name, pair[0]+"="+pair[1])
				return err
			case 2:
				var bits, ms uint64
				err := eachField(part, func(field protowire.Number, _ []byte, number uint64) error {
					if field == 1 {
						bits = number
					} else {
						ms = number
					}
					return nil
				})
				r.keep(strings.Join(name, ","), int64(ms), bits)
				return err
			}
			return nil
		})
	})
}

func (r *receiver) keep(series string, ms int64, bits uint64) {
	known := r.got[series]
	if known == nil {
		known = make(map[int64]float64)
		r.got[series] = known
	}
	if _, again := known[ms]; again {
		r.repeats++
	} else if ms < r.last[series] {
		r.late++
	}
	known[ms] = math.Float64frombits(bits)
	r.last[series] = max(r.last[series], ms)
}

// missing are the samples of a range query's answer that have not come.
func (r *receiver) missing(stored []series, external ...string) (missing []string, samples int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range stored {
		name := slices.Clone(external)
		for k, v := range s.Metric {
			name = append(name, k+"="+v)
		}
		slices.Sort(name)
		got := r.got[strings.Join(name, ",")]
		for _, p := range s.Values {
			samples++
			if _, ok := got[int64(p.at*1000+0.5)]; !ok {
				missing = append(missing, fmt.Sprintf("%v at %.3f", s.Metric, p.at))
			}
		}
	}
	return missing, samples
}

// Killed at any moment, under load and with the receiver down for a while, or stopped
// in order, the collector sends all that it has stored. WATCHPOST_KILLS is the number
// of kills; each takes a few seconds.
func TestCollectorForwardsThroughKills(t *testing.T) {
	beside(t)
	kills := 3
	if n, err := strconv.Atoi(os.Getenv("WATCHPOST_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	r := newReceiver(t)
	c := newCollector(t, "--standalone", "--storage.remote.flush-deadline=1s")
	file := c.configFile(fmt.Sprintf(`remote_write:
- {url: "http://%s/write", queue_config: {batch_send_deadline: 200ms, max_samples_per_send: 500, capacity: 1000, min_shards: 2}}
`, r.web))
	c.args = append(c.args, "--config.file="+file)
	for round := range kills {
		c.start()
		if round%3 > 0 {
			r.setDown(true)
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		}
		if round%3 == 1 { // otherwise it stays down until after the end
			r.setDown(false)
		}
		time.Sleep(time.Second + time.Duration(random.Int64N(int64(time.Second))))
		if round%3 == 2 && round%2 == 0 {
			if err := c.end(syscall.SIGTERM); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		} else {
			c.end(syscall.SIGKILL)
		}
		r.setDown(false)
	}
	c.start()
	c.number(`count(count_over_time(node_load1[4s]) >= 3)`)
	stored, err := c.query(`{job=~"collector|node"}[30m]`)
	if err != nil {
		t.Fatal(err)
	}
	c.until("all sent", func() error {
		if missing, _ := r.missing(stored); len(missing) > 0 {
			return fmt.Errorf("%d are missing, such as %s", len(missing), missing[0])
		}
		return nil
	})
	_, samples := r.missing(stored)
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%d samples of %d series in %d rounds; %d were sent twice", samples, len(stored), kills, r.repeats)
	if samples < 1000*kills {
		t.Errorf("only %d samples", samples)
	}
	if r.late > 0 {
		t.Errorf("%d samples came late", r.late)
	}
	if r.repeats > samples/2 {
		t.Errorf("%d samples were sent twice", r.repeats)
	}
}

// The same of an agent, which keeps nothing but its log: of a target that counts its
// scrapes every number has come, but for those that a kill kept from the log.
func TestAgentForwardsThroughKills(t *testing.T) {
	beside(t)
	const kills = 2
	r := newReceiver(t)
	var scrapes atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "scrape %d\n", scrapes.Add(1))
	}))
	defer target.Close()
	c := newCollector(t)
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	yml := fmt.Sprintf(`global: {scrape_interval: 100ms}
scrape_configs: [{job_name: a, static_configs: [{targets: [%q]}]}]
remote_write: [{url: "http://%s/write", queue_config: {batch_send_deadline: 200ms}}]
`, target.Listener.Addr(), r.web)
	if err := os.WriteFile(file, []byte(yml), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = []string{"--agent", "--config.file=" + file, "--storage.agent.path=" + c.data, "--web.listen-address=" + c.web,
		"--storage.remote.flush-deadline=1s", "--scrape.discovery-reload-interval=100ms"}
	for round := range kills {
		r.setDown(round != 1)
		c.start()
		before := scrapes.Load()
		c.until("scraped", func() error {
			if n := scrapes.Load() - before; n < 15 {
				return fmt.Errorf("%d scrapes", n)
			}
			return nil
		})
		c.end(syscall.SIGKILL)
	}
	r.setDown(false)
	c.start()
	enough := scrapes.Load() + 5
	c.until("all sent", func() error {
		var numbers []int64
		r.mu.Lock()
		for name, got := range r.got {
			if strings.HasPrefix(name, "__name__=scrape,") {
				for _, at := range slices.Sorted(maps.Keys(got)) {
					if !math.IsNaN(got[at]) { // which says that the target was gone
						numbers = append(numbers, int64(got[at]))
					}
				}
			}
		}
		r.mu.Unlock()
		gaps := 0
		for i := 1; i < len(numbers); i++ {
			gaps += int(numbers[i] - numbers[i-1] - 1)
		}
		if len(numbers) == 0 || numbers[0] != 1 || numbers[len(numbers)-1] < enough || gaps > kills {
			return fmt.Errorf("of %d scrapes there are %v", scrapes.Load(), numbers)
		}
		return nil
	})
	if r.late > 0 {
		t.Errorf("%d samples came late", r.late)
	}
}
