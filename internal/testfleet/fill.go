package testfleet

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// Ahead is how far the samples reach beyond the moment of the fleet, so that a test
// that takes its time still finds everything alive.
const Ahead = 10 * time.Minute

// Fill writes the fleet as it is now into the data folder of a collector that does
// not run, and tells how many series that are.
func Fill(dir string, size Size, now time.Time) (series int, err error) {
	o := tsdb.DefaultOptions()
	o.WALCompression = compression.Snappy
	o.EnableMemorySnapshotOnShutdown = true // so that the collector starts in seconds
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, o, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	const batch = 500_000 // samples of one commit
	app, n := db.Appender(context.Background()), 0
	var b labels.ScratchBuilder
	end := now.Truncate(Step).Add(Ahead)
	Write(size, now, func(pairs []string, start time.Time, value func(time.Time) (float64, bool)) {
		if err != nil {
			return
		}
		series++
		b.Reset()
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" { // an empty label is none
				b.Add(pairs[i], pairs[i+1])
			}
		}
		b.Sort()
		ls, ref := b.Labels(), storage.SeriesRef(0)
		for at := start; at.Before(end) && err == nil; at = at.Add(Step) {
			if v, ok := value(at); ok {
				ref, err = app.Append(ref, ls, at.UnixMilli(), v)
				n++
			}
		}
		if n > batch && err == nil {
			err = app.Commit()
			app, n = db.Appender(context.Background()), 0
		}
	})
	if err != nil {
		app.Rollback()
		return series, err
	}
	return series, app.Commit()
}
