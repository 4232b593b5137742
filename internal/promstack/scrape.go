package promstack

// Scraping. A scrape under way when the engine stops may finish; one that is
// late is cut off and leaves nothing behind, so that a stop never records a
// healthy target as down.

import (
	"context"
	"fmt"
	"net"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"

	"watchpost/internal/scraper"
)

// newScrapes makes the manager of all scrape jobs, whose samples go to store; the end
// of late cuts their connections, and failed is told of what could not be stored.
func (e *Engine) newScrapes(late context.Context, store storage.AppendableV2, s *scraping, failed func(error)) (*scraper.Manager, error) {
	m, err := scraper.NewManager(scraper.Options{
		Dial:      cutDialer(late),
		Every:     e.cfg.DiscoveryInterval,
		Tolerance: e.cfg.ScrapeTolerance,
		Exemplars: e.cfg.Storage.Exemplars || e.cfg.Agent.Enabled,
	}, e.log.With("component", "scrape"), cutAppendable{store, late, failed}, e.reg)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	// As the library's own manager would say.
	e.known.Enable(features.Scrape, "extra_scrape_metrics")
	for _, off := range []string{"start_timestamp_zero_ingestion", "type_and_unit_labels", "openmetrics2"} {
		e.known.Disable(features.Scrape, off)
	}
	s.use(m)
	return m, nil
}

// cutAppendable takes samples until late ends; after that a scrape's samples are
// dropped as a whole.
type cutAppendable struct {
	storage.AppendableV2
	late   context.Context
	failed func(error)
}

func (c cutAppendable) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return cutAppender{c.AppendableV2.AppenderV2(ctx), c.late, c.failed}
}

type cutAppender struct {
	storage.AppenderV2
	late   context.Context
	failed func(error)
}

func (a cutAppender) Commit() error {
	if a.late.Err() != nil {
		return a.Rollback()
	}
	err := a.AppenderV2.Commit()
	if err != nil {
		a.failed(err)
	}
	return err
}

// cutDialer dials connections that close when late ends.
func cutDialer(late context.Context) commonconfig.DialContextFunc {
	d := net.Dialer{Timeout: 30 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(late, cancel)()
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &cutConn{c, context.AfterFunc(late, func() { c.Close() })}, nil
	}
}

// cutConn forgets its cut when it is closed in the ordinary way.
type cutConn struct {
	net.Conn
	forget func() bool
}

func (c *cutConn) Close() error {
	c.forget()
	return c.Conn.Close()
}
