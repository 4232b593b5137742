package promstack

// The targets as lists for people: filtered, ordered and cut here, because a
// browser should not be sent ten thousand of them; why one was dropped; and what
// one says.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"

	"watchpost/internal/pageapi"
)

// targetRow is one target of a list.
type targetRow struct {
	Pool       string            `json:"pool"`
	State      string            `json:"state"` // down, unknown, up or dropped
	URL        string            `json:"url,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Discovered map[string]string `json:"discovered"`
	Error      string            `json:"error,omitempty"`
	LastScrape int64             `json:"lastScrape,omitempty"` // ms since the epoch
	Seconds    float64           `json:"seconds,omitempty"`    // what the last scrape took
	Interval   string            `json:"interval,omitempty"`
	// DroppedBy is the number, from 1, of the relabelling rule that dropped it, and
	// that rule.
	DroppedBy int    `json:"droppedBy,omitempty"`
	Rule      string `json:"rule,omitempty"`
}

type targetList struct {
	States map[string]int `json:"states"` // of those that match all but the state
	Total  int            `json:"total"`  // that match
	Rows   []targetRow    `json:"rows"`
	// Forgotten are dropped targets that are counted, but no longer known
	// (keep_dropped_targets).
	Forgotten int `json:"forgotten,omitempty"`
	pageapi.Costed
}

// listed is a target in the list before it is cut.
type listed struct {
	*scrape.Target
	pool, state, url string
	text             []string // what is searched
}

var stateOrder = map[string]int{"down": 0, "unknown": 1, "up": 2, "dropped": 3}

func (e *Engine) listTargets(r *http.Request) (list targetList, err error) {
	q := r.URL.Query()
	w, err := pageapi.ReadWindow(q, "pool", "url", "last", "took")
	if err != nil {
		return list, err
	}
	state, pool := q.Get("state"), q.Get("pool")
	if _, known := stateOrder[state]; state != "" && !known {
		return list, pageapi.BadData("state=%q is none of down, unknown, up, dropped", state)
	}
	began := time.Now()
	list.States = map[string]int{"down": 0, "unknown": 0, "up": 0, "dropped": 0}
	err = e.use(r.Context(), func(_ context.Context, p *parts) error {
		var found []listed
		lb := labels.NewBuilder(labels.EmptyLabels())
		// Of a cluster's pods most jobs drop every one: they are counted, unless they are asked for.
		counted := len(w.Words) == 0 && state != "dropped"
		for t := range p.targets(pool, !counted) {
			if len(w.Words) > 0 {
				t.describe(lb)
				if !w.Matches(t.text...) {
					continue
				}
			}
			list.States[t.state]++
			if state == t.state || state == "" && t.state != "dropped" {
				found = append(found, t)
			}
		}
		for name, n := range p.scrapes.TargetsDroppedCounts() {
			conf, err := p.scrapes.ScrapePoolConfig(name)
			if pool != "" && pool != name || err != nil { // the job has gone meanwhile
				continue
			}
			kept := n
			if most := int(conf.KeepDroppedTargets); most > 0 {
				kept = min(n, most)
			}
			list.Forgotten += n - kept
			if counted {
				list.States["dropped"] += kept
			}
		}
		list.Total = len(found)
		for _, t := range pageapi.Cut(w, found, targetOrder(w)) {
			list.Rows = append(list.Rows, p.row(t, lb))
		}
		return nil
	})
	list.Cost.Seconds = time.Since(began).Seconds()
	return list, err
}

// targets are all of a pool, or of all pools (""), with those that were dropped or not.
func (p *parts) targets(pool string, dropped bool) func(yield func(listed) bool) {
	return func(yield func(listed) bool) {
		for name, all := range p.scrapes.TargetsActive() {
			for _, t := range all {
				if (pool == "" || pool == name) && !yield(listed{Target: t, pool: name, state: state(t), url: t.URL().Redacted()}) {
					return
				}
			}
		}
		if !dropped {
			return
		}
		for name, t := range p.scrapes.EachDropped {
			if (pool == "" || pool == name) && !yield(listed{Target: t, pool: name, state: "dropped"}) {
				return
			}
		}
	}
}

func state(t *scrape.Target) string {
	switch h := t.Health(); h {
	case scrape.HealthGood:
		return "up"
	case scrape.HealthBad:
		return "down"
	}
	return "unknown"
}

// describe fills in the texts by which a target is found.
func (t *listed) describe(lb *labels.Builder) {
	t.text = append(t.text, t.pool, t.url)
	if err := t.LastError(); err != nil {
		t.text = append(t.text, err.Error())
	}
	ls := t.Labels(lb)
	if t.state == "dropped" {
		ls = t.DiscoveredLabels(lb)
	}
	ls.Range(func(l labels.Label) { t.text = append(t.text, l.Name+"="+l.Value) })
}

// targetOrder puts what needs attention first, unless a column is named.
func targetOrder(w pageapi.Window) func(a, b listed) int {
	return func(a, b listed) int {
		c := 0
		switch w.Sort {
		case "pool":
			c = pageapi.Natural(a.pool, b.pool)
		case "url":
			c = pageapi.Natural(a.url, b.url)
		case "last":
			c = a.LastScrape().Compare(b.LastScrape())
		case "took":
			c = cmp.Compare(a.LastScrapeDuration(), b.LastScrapeDuration())
		}
		if w.Down {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(stateOrder[a.state], stateOrder[b.state]), pageapi.Natural(a.pool, b.pool), pageapi.Natural(a.url, b.url),
			pageapi.Natural(a.GetValue(model.InstanceLabel), b.GetValue(model.InstanceLabel)))
	}
}

// row is what is told of a target; for one that was dropped, with the rule.
func (p *parts) row(t listed, lb *labels.Builder) targetRow {
	r := targetRow{Pool: t.pool, State: t.state, URL: t.url, Discovered: t.DiscoveredLabels(lb).Map()}
	if t.state == "dropped" {
		if conf, err := p.scrapes.ScrapePoolConfig(t.pool); err == nil {
			r.DroppedBy, r.Rule = droppedBy(t.DiscoveredLabels(lb), conf.RelabelConfigs)
		}
		return r
	}
	r.Labels = t.Labels(lb).Map()
	r.Interval = t.GetValue("__scrape_interval__")
	r.Seconds = t.LastScrapeDuration().Seconds()
	if at := t.LastScrape(); !at.IsZero() {
		r.LastScrape = at.UnixMilli()
	}
	if err := t.LastError(); err != nil {
		r.Error = err.Error()
	}
	return r
}

// droppedBy finds the rule that drops these labels: its number from 1, and itself
// in a few words. 0 means that none does, as when the rules have changed since.
func droppedBy(ls labels.Labels, rules []*relabel.Config) (int, string) {
	lb := labels.NewBuilder(ls)
	for i, rule := range rules {
		if !relabel.ProcessBuilder(lb, rule) {
			names := make([]string, len(rule.SourceLabels))
			for j, n := range rule.SourceLabels {
				names[j] = string(n)
			}
			text := fmt.Sprintf("%s [%s]", rule.Action, strings.Join(names, ", "))
			if rule.Action == relabel.KeepEqual || rule.Action == relabel.DropEqual {
				return i + 1, text + " " + rule.TargetLabel
			}
			return i + 1, text + " " + rule.Regex.String()
		}
	}
	return 0, ""
}

type poolRow struct {
	Name    string `json:"name"`
	Active  int    `json:"active"`
	Down    int    `json:"down"`
	Dropped int    `json:"dropped"`
}

func (e *Engine) listPools(r *http.Request) (rows []poolRow, err error) {
	rows = []poolRow{}
	err = e.use(r.Context(), func(_ context.Context, p *parts) error {
		dropped := p.scrapes.TargetsDroppedCounts()
		for name, all := range p.scrapes.TargetsActive() {
			row := poolRow{Name: name, Active: len(all), Dropped: dropped[name]}
			for _, t := range all {
				if t.Health() == scrape.HealthBad {
					row.Down++
				}
			}
			rows = append(rows, row)
		}
		slices.SortFunc(rows, func(a, b poolRow) int { return pageapi.Natural(a.Name, b.Name) })
		return nil
	})
	return rows, err
}

// Bounds of what one look at a target may cost.
const (
	maxRawTargets = 4                // at a time
	maxRawBytes   = 16 << 20         // of one answer, uncompressed; what is beyond is cut off
	maxRawTime    = 10 * time.Second // or the target's own timeout, where that is less
)

// rawTargets shows what a target answers. It asks only addresses that are scraped
// anyway, with the credentials that scrapes of them have.
type rawTargets struct {
	engine *Engine
	places chan struct{}
}

func (h *rawTargets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		pageapi.Refuse(w, &pageapi.Error{Status: http.StatusServiceUnavailable, Kind: "unavailable",
			Err: fmt.Errorf("%d targets are being asked already; try again in a moment", maxRawTargets)})
		return
	}
	err := h.engine.use(r.Context(), func(ctx context.Context, p *parts) error {
		t, conf, err := p.active(r.URL.Query().Get("pool"), r.URL.Query().Get("url"))
		if err != nil {
			return err
		}
		return ask(ctx, w, t, conf)
	})
	if err != nil {
		pageapi.Refuse(w, err)
	}
}

// active finds a target that is being scraped by its pool and URL.
func (p *parts) active(pool, url string) (*scrape.Target, *config.ScrapeConfig, error) {
	conf, err := p.scrapes.ScrapePoolConfig(pool)
	if err != nil {
		return nil, nil, pageapi.NotFound("no job %q is being scraped", pool)
	}
	for _, t := range p.scrapes.TargetsActive()[pool] {
		if t.URL().Redacted() == url {
			return t, conf, nil
		}
	}
	return nil, nil, pageapi.NotFound("job %q scrapes no target %q", pool, url)
}

// ask passes the target's answer on. What fails before its first byte is an error.
func ask(ctx context.Context, w http.ResponseWriter, t *scrape.Target, conf *config.ScrapeConfig) error {
	if socket := t.GetValue(scrape.UnixSocketLabel); socket != "" {
		return pageapi.BadData("this target is scraped over the unix socket %s, which is not asked from here", socket)
	}
	limit := maxRawTime
	if own := time.Duration(conf.ScrapeTimeout); own > 0 {
		limit = min(limit, own)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client, err := commonconfig.NewClientFromConfig(conf.HTTPClientConfig, conf.JobName)
	if err != nil {
		return fmt.Errorf("job %s: %w", conf.JobName, err)
	}
	defer client.CloseIdleConnections()
	// A target may not lead the reader elsewhere: its answer is shown as it is.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL().String(), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1")
	req.Header.Set("User-Agent", scrape.UserAgent)
	answer, err := client.Do(req)
	if err != nil {
		return &pageapi.Error{Status: http.StatusBadGateway, Kind: "target", Err: errors.Unwrap(err)}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &pageapi.Error{Status: http.StatusBadGateway, Kind: "target", Err: fmt.Errorf("the target answers %s", answer.Status)}
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8") // whatever it says: it is shown, not run
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	n, err := io.Copy(w, io.LimitReader(answer.Body, maxRawBytes))
	if err == nil && n == maxRawBytes {
		_, err = fmt.Fprintf(w, "\n# cut off here, after %d MiB\n", maxRawBytes>>20)
	}
	if err != nil {
		fmt.Fprintf(w, "\n# cut off here: %v\n", err)
	}
	return nil
}
