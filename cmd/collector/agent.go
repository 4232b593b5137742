package main

// Agent mode, named and checked as in Prometheus.

import (
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"

	"watchpost/internal/promstack"
)

// The size of a file of the agent's log, as Prometheus bounds it.
const (
	minSegment = 10 << 20
	maxSegment = 256 << 20
)

type agentFlags struct {
	enabled                        *bool
	dir                            *string
	compress                       *bool
	compression                    *string
	segment                        units.Base2Bytes
	truncateEach, minAge, maxAge   model.Duration
	checkpointInMemory, noLockFile *bool
	checkpointBatch                *int
}

func (f *flags) agentFlags() {
	a := &f.agent
	a.enabled = f.app.Flag("agent", "Forward only: scrape or receive, and send by remote write. Nothing is kept but what was not sent yet.").Bool()
	a.dir = f.app.Flag("storage.agent.path", "Folder of what was not sent yet, with --agent.").Default("data-agent/").String()
	f.app.Flag("storage.agent.wal-segment-size", "Size of its files, 10MB to 256MB.").Hidden().BytesVar(&a.segment)
	a.compress = f.app.Flag("storage.agent.wal-compression", "Compress it.").Default("true").Bool()
	a.compression = f.app.Flag("storage.agent.wal-compression-type", "How it is compressed.").Hidden().Default("snappy").Enum("snappy", "zstd")
	f.duration("storage.agent.wal-truncate-frequency", "How often what was sent is removed.", "2h", &a.truncateEach).Hidden()
	f.duration("storage.agent.retention.min-time", "What was sent stays in it for so long.", "5m", &a.minAge)
	f.duration("storage.agent.retention.max-time", "What is older is removed though it was not sent.", "4h", &a.maxAge)
	a.noLockFile = f.app.Flag("storage.agent.no-lockfile", "Do not keep a second process out of the folder.").Bool()
	a.checkpointInMemory = f.app.Flag("storage.agent.checkpoint-from-in-memory-series", "Make checkpoints from memory alone.").Hidden().Bool()
	a.checkpointBatch = f.app.Flag("storage.agent.checkpoint-batch-size", "Size of what is written of them at a time.").Hidden().Default("1000").Int()
}

// serverOnly are prefixes of the flags that mean nothing to an agent.
var serverOnly = []string{"storage.tsdb.", "storage.remote.read-", "rules.", "alertmanager.", "query."}

// agentConfig checks the flags and what does not go with them.
func (f *flags) agentConfig() (promstack.AgentConfig, error) {
	a := &f.agent
	for _, flag := range f.app.Model().Flags {
		if !f.app.Given(flag.Name) {
			continue
		}
		if !*a.enabled && strings.HasPrefix(flag.Name, "storage.agent.") {
			return promstack.AgentConfig{}, fmt.Errorf("--%s needs --agent", flag.Name)
		}
		for _, prefix := range serverOnly {
			if *a.enabled && strings.HasPrefix(flag.Name, prefix) {
				return promstack.AgentConfig{}, fmt.Errorf("--%s does not go with --agent: an agent keeps nothing and answers no queries", flag.Name)
			}
		}
	}
	if *a.enabled && *f.configFile == "" && len(*f.configAdd) == 0 {
		return promstack.AgentConfig{}, fmt.Errorf("--agent needs --config.file or --config.add, which says where to send to")
	}
	if a.segment != 0 && (a.segment < minSegment || a.segment > maxSegment) {
		return promstack.AgentConfig{}, fmt.Errorf("--storage.agent.wal-segment-size %s must be 10MB to 256MB", a.segment)
	}
	if *a.checkpointBatch < 1 {
		return promstack.AgentConfig{}, fmt.Errorf("--storage.agent.checkpoint-batch-size %d must be at least 1", *a.checkpointBatch)
	}
	c := promstack.AgentConfig{
		Enabled: *a.enabled, Dir: *a.dir, SegmentBytes: int(a.segment), WALCompression: *a.compression,
		TruncateEach: time.Duration(a.truncateEach), MinAge: time.Duration(a.minAge), MaxAge: time.Duration(a.maxAge),
		NoLockFile: *a.noLockFile, CheckpointFromMemory: *a.checkpointInMemory, CheckpointBatch: *a.checkpointBatch,
	}
	if !*a.compress {
		c.WALCompression = "none"
	}
	return c, nil
}
