package promstack

// Metadata for remote write. What sends type, help and unit of the metric families takes
// them from the targets of a manager of the library, of that type and no other. So it gets
// one that scrapes nothing: its only target says what all of ours say.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"watchpost/internal/run"
	"watchpost/internal/scraper"
)

// scraping leads from remote write to the metadata of what is scraped.
type scraping struct {
	mu      sync.Mutex
	scrapes *scraper.Manager // nil before they were made
	said    *scrape.Manager  // nil before it was asked for
	ended   bool
}

// use says where the metadata is.
func (s *scraping) use(m *scraper.Manager) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scrapes = m
}

// Get implements remote.ReadyScrapeManager.
func (s *scraping) Get() (*scrape.Manager, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scrapes == nil || s.ended {
		return nil, errors.New("scrapes have not started")
	}
	if s.said == nil {
		m, err := newSayer(s.scrapes)
		if err != nil {
			return nil, fmt.Errorf("metadata for remote write: %w", err)
		}
		s.said = m
	}
	return s.said, nil
}

// end ends what Get has made.
func (s *scraping) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.said != nil {
		s.said.Stop()
		s.said = nil
	}
}

// never is when the target below would be scraped for the first time.
const never = 100 * 365 * 24 * time.Hour

// newSayer makes a manager whose only target has the metadata of all targets of scrapes.
func newSayer(scrapes *scraper.Manager) (*scrape.Manager, error) {
	const job = "metadata"
	c, err := config.Load("scrape_configs: [{job_name: "+job+"}]", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	m, err := scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval:  model.Duration(never),
		DiscoveryReloadOnStartup: true,
		InitialScrapeOffset:      never,
	}, nil, nil, nil, nowhere{}, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	if err := m.ApplyConfig(c); err != nil {
		return nil, err
	}
	sets := make(chan map[string][]*targetgroup.Group, 1)
	sets <- map[string][]*targetgroup.Group{job: {{Targets: []model.LabelSet{{model.AddressLabel: job}}}}}
	go m.Run(sets) // until Stop
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		for _, t := range m.TargetsActive()[job] {
			t.SetMetadataStore(metadataOf{scrapes})
			return m, nil
		}
		if err := run.Sleep(ctx, time.Millisecond); err != nil {
			m.Stop()
			return nil, err
		}
	}
}

// nowhere takes no samples, and is given none.
type nowhere struct{}

// AppenderV2 implements storage.AppendableV2.
func (nowhere) AppenderV2(context.Context) storage.AppenderV2 { return nil }

// metadataOf is the metadata of all targets, each once.
type metadataOf struct{ scrapes *scraper.Manager }

// ListMetadata implements scrape.MetricMetadataStore.
func (m metadataOf) ListMetadata() []scrape.MetricMetadata {
	var all []scrape.MetricMetadata
	said := make(map[scrape.MetricMetadata]struct{})
	for _, targets := range m.scrapes.TargetsActive() {
		for _, t := range targets {
			for _, d := range t.ListMetadata() {
				if _, twice := said[d]; !twice {
					said[d] = struct{}{}
					all = append(all, d)
				}
			}
		}
	}
	return all
}

// GetMetadata implements scrape.MetricMetadataStore.
func (m metadataOf) GetMetadata(family string) (scrape.MetricMetadata, bool) {
	for _, targets := range m.scrapes.TargetsActive() {
		for _, t := range targets {
			if d, ok := t.GetMetadata(family); ok {
				return d, true
			}
		}
	}
	return scrape.MetricMetadata{}, false
}

// SizeMetadata implements scrape.MetricMetadataStore.
func (m metadataOf) SizeMetadata() int { return m.sum((*scrape.Target).SizeMetadata) }

// LengthMetadata implements scrape.MetricMetadataStore.
func (m metadataOf) LengthMetadata() int { return m.sum((*scrape.Target).LengthMetadata) }

func (m metadataOf) sum(of func(*scrape.Target) int) (n int) {
	for _, targets := range m.scrapes.TargetsActive() {
		for _, t := range targets {
			n += of(t)
		}
	}
	return n
}
