package main

// Flags of Prometheus that few operators give: sizes and bounds of its parts, each with
// the meaning it has there.

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"

	"watchpost/internal/promstack"
)

// The messages of remote write that a receiver may take.
var writeMessages = []string{"prometheus.WriteRequest", "io.prometheus.write.v2.Request"}

type rareFlags struct {
	memoryEach model.Duration

	overlapping     *bool
	chunkFile, wal  units.Base2Bytes
	writeQueue      *int
	samplesPerChunk *int
	delayPercent    *int
	delayFile       *string
	lookEach        model.Duration
	noteReaders     *int
	messages        *[]string
	searchLimit     *int
	concurrentRules *int64
	adjust          *bool
	tolerance       *time.Duration
	batch           *int
	drainAlerts     *bool
}

func (f *flags) rareFlags() {
	r, app := &f.rare, f.app
	f.duration("auto-gomemlimit.refresh-interval", "How often that limit is looked up anew; 0s is once.", "0s", &r.memoryEach)
	r.overlapping = app.Flag("storage.tsdb.allow-overlapping-compaction", "Merge blocks of the same time. Off where another program does.").Hidden().Default("true").Bool()
	app.Flag("storage.tsdb.max-block-chunk-segment-size", "Size of a file of samples in a block, 1MB or more.").Hidden().BytesVar(&r.chunkFile)
	app.Flag("storage.tsdb.wal-segment-size", "Size of a file of the log, 10MB to 256MB.").Hidden().BytesVar(&r.wal)
	r.writeQueue = app.Flag("storage.tsdb.head-chunks-write-queue-size", "Finished chunks that wait to be written; 0 writes each at once.").Default("0").Int()
	r.samplesPerChunk = app.Flag("storage.tsdb.samples-per-chunk", "Samples in a chunk.").Hidden().Default("120").Int()
	r.delayPercent = app.Flag("storage.tsdb.delayed-compaction.max-percent", "Longest delay of a compaction, in percent of the shortest block, with the feature delayed-compaction.").Hidden().Default("10").Int()
	r.delayFile = app.Flag("storage.tsdb.delay-compact-file.path", "JSON file that lists blocks which are uploaded, as thanos.shipper.json: others are not merged yet.").Default("").String()
	f.duration("storage.tsdb.block-reload-interval", "How often blocks are looked for that were added or removed, 1s or more.", "1m", &r.lookEach).Hidden()
	r.noteReaders = app.Flag("web.max-notifications-subscribers", "Clients of the live notifications, each of which holds a connection.").Default("16").Int()
	r.messages = app.Flag("web.remote-write-receiver.accepted-protobuf-messages", "What the receiver of remote write takes: "+strings.Join(writeMessages, ", ")+". Repeatable.").Default(writeMessages...).Strings()
	r.searchLimit = app.Flag("web.search.max-limit", "Most results of a search, with the feature search-api; 0 is no bound.").Default("10000").Int()
	r.concurrentRules = app.Flag("rules.max-concurrent-evals", "Independent rules evaluated at the same time, with the feature concurrent-rule-eval.").Default("4").Int64()
	r.adjust = app.Flag("scrape.adjust-timestamps", "Take a scrape that is a little late for one in time.").Hidden().Default("true").Bool()
	r.tolerance = app.Flag("scrape.timestamp-tolerance", "How late that may be, and a hundredth of the interval at most.").Hidden().Default("2ms").Duration()
	r.batch = app.Flag("alertmanager.notification-batch-size", "Notifications in one request to an Alertmanager.").Default("256").Int()
	r.drainAlerts = app.Flag("alertmanager.drain-notification-queue-on-shutdown", "Send waiting notifications at a stop.").Default("true").Bool()
}

// apply checks them and fills the configuration of the engine.
func (r *rareFlags) apply(c *promstack.Config, log *slog.Logger) error {
	switch {
	case r.wal != 0 && (r.wal < minSegment || r.wal > maxSegment):
		return fmt.Errorf("--storage.tsdb.wal-segment-size %s must be 10MB to 256MB", r.wal)
	case r.chunkFile != 0 && r.chunkFile < 1<<20:
		return fmt.Errorf("--storage.tsdb.max-block-chunk-segment-size %s must be at least 1MB", r.chunkFile)
	case *r.samplesPerChunk < 1:
		return fmt.Errorf("--storage.tsdb.samples-per-chunk %d must be at least 1", *r.samplesPerChunk)
	case *r.writeQueue < 0:
		return fmt.Errorf("--storage.tsdb.head-chunks-write-queue-size %d must be at least 0", *r.writeQueue)
	case *r.noteReaders < 1:
		return fmt.Errorf("--web.max-notifications-subscribers %d must be at least 1", *r.noteReaders)
	case *r.searchLimit < 0:
		return fmt.Errorf("--web.search.max-limit %d must be at least 0", *r.searchLimit)
	case *r.concurrentRules < 1:
		return fmt.Errorf("--rules.max-concurrent-evals %d must be at least 1", *r.concurrentRules)
	case *r.tolerance < 0:
		return fmt.Errorf("--scrape.timestamp-tolerance %s must be at least 0s", *r.tolerance)
	case *r.batch < 1:
		return fmt.Errorf("--alertmanager.notification-batch-size %d must be at least 1", *r.batch)
	}
	for _, m := range *r.messages {
		if !slices.Contains(writeMessages, m) {
			return fmt.Errorf("--web.remote-write-receiver.accepted-protobuf-messages %q is unknown; there are %s", m, strings.Join(writeMessages, ", "))
		}
	}
	if *r.delayPercent < 1 || *r.delayPercent > 100 {
		log.Warn("A flag is out of its bounds of 1 to 100; 10 is taken", "flag", "--storage.tsdb.delayed-compaction.max-percent")
		*r.delayPercent = 10
	}
	s := &c.Storage
	s.KeepOverlaps, s.SegmentBytes, s.ChunkFileBytes = !*r.overlapping, int(r.wal), int64(r.chunkFile)
	s.WriteQueue, s.SamplesPerChunk = *r.writeQueue, *r.samplesPerChunk
	s.DelayPercent, s.UploadedFile = *r.delayPercent, *r.delayFile
	s.LookEach = max(time.Second, time.Duration(r.lookEach))
	c.API.NoteReaders, c.API.WriteMessages, c.API.SearchLimit = *r.noteReaders, *r.messages, *r.searchLimit
	c.Alerts.BatchSize, c.Alerts.DropAtStop = *r.batch, !*r.drainAlerts
	c.Alerts.MaxConcurrentRules = *r.concurrentRules
	c.ScrapeTolerance = *r.tolerance
	if !*r.adjust {
		c.ScrapeTolerance = 0
	}
	return nil
}
