package promstack

// What of the data directory cannot be read is moved into a folder of it, so that the
// rest can be served and nothing is lost that somebody might still get something out
// of. Nothing is ever removed from there: that is for whoever has looked at it.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/util/notifications"
)

// asideName is the folder's name. In it each thing is called KIND-TIME-NAME, with the
// reason in KIND-TIME-NAME.txt.
const (
	asideName   = "set-aside"
	asideReason = ".txt"
	asideTime   = "20060102T150405.000Z"
)

// The kinds of what is set aside.
const (
	asideBlock      = "block"
	asideLog        = "log" // of samples (wal) or of those out of order (wbl)
	asideCheckpoint = "checkpoint"
	asideSnapshot   = "snapshot"
	asideHeadChunks = "head_chunks"
)

var asideKinds = []string{asideBlock, asideLog, asideCheckpoint, asideSnapshot, asideHeadChunks}

// asideNote is what the API's notifications say since something was set aside.
const asideNote = "A part of the storage could not be read and was set aside: see the log, and the page's status of the storage."

// aside moves things away. The zero time of an item is told where its name has none.
type aside struct {
	data  string // data directory
	log   *slog.Logger
	notes *notifications.Notifications
	now   func() time.Time
}

// AsideItem is a part of the storage that could not be read.
type AsideItem struct {
	Kind   string    `json:"kind"` // block, log, checkpoint, snapshot or head_chunks
	Name   string    `json:"name"` // in the folder set-aside of the data directory
	Time   time.Time `json:"time"` // when it was moved there
	Reason string    `json:"reason"`
}

func newAside(data string, log *slog.Logger, notes *notifications.Notifications, reg prometheus.Registerer) *aside {
	a := &aside{data: data, log: log, notes: notes, now: time.Now}
	reg.MustRegister(a)
	return a
}

var asideDesc = prometheus.NewDesc("watchpost_storage_set_aside",
	"Parts of the storage that could not be read and lie in the folder set-aside of the data directory.", []string{"kind"}, nil)

// Describe implements prometheus.Collector.
func (a *aside) Describe(ch chan<- *prometheus.Desc) { ch <- asideDesc }

// Collect implements prometheus.Collector. It looks into the folder, so that what
// somebody has taken away from there counts no longer.
func (a *aside) Collect(ch chan<- prometheus.Metric) {
	items, _ := a.list(false)
	for _, kind := range asideKinds {
		n := 0
		for _, item := range items {
			if item.Kind == kind {
				n++
			}
		}
		ch <- prometheus.MustNewConstMetric(asideDesc, prometheus.GaugeValue, float64(n), kind)
	}
}

// list tells what lies in the folder, the newest first, with reasons or without.
func (a *aside) list(reasons bool) ([]AsideItem, error) {
	folder := filepath.Join(a.data, asideName)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var items []AsideItem
	for _, e := range entries {
		kind, rest, _ := strings.Cut(e.Name(), "-")
		if !slices.Contains(asideKinds, kind) || strings.HasSuffix(e.Name(), asideReason) {
			continue
		}
		item := AsideItem{Kind: kind, Name: e.Name()}
		at, _, _ := strings.Cut(rest, "-")
		item.Time, _ = time.Parse(asideTime, at)
		if reasons {
			text, _ := os.ReadFile(filepath.Join(folder, e.Name()+asideReason)) // a thing without one has none to tell
			item.Reason = strings.TrimSpace(string(text))
		}
		items = append(items, item)
	}
	slices.SortFunc(items, func(x, y AsideItem) int {
		return cmp.Or(y.Time.Compare(x.Time), cmp.Compare(x.Name, y.Name))
	})
	return items, nil
}

// move sets a file or folder of the data directory aside.
func (a *aside) move(kind, path string, reason error) error {
	return a.take(kind, path, reason, os.Rename)
}

// link keeps a file as it is under a second name, where it is going to be replaced.
func (a *aside) link(kind, path string, reason error) error {
	return a.take(kind, path, reason, os.Link)
}

func (a *aside) take(kind, path string, reason error, how func(from, to string) error) error {
	folder := filepath.Join(a.data, asideName)
	if err := os.Mkdir(folder, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	name := kind + "-" + a.now().UTC().Format(asideTime) + "-" + filepath.Base(path)
	to := filepath.Join(folder, name)
	if err := how(path, to); err != nil {
		return fmt.Errorf("%s cannot be read (%w) and cannot be set aside: %w", path, reason, err)
	}
	a.log.Error("A part of the storage cannot be read and was set aside; the rest is served", "kind", kind, "what", path, "as", to, "err", reason)
	if err := os.WriteFile(to+asideReason, []byte(reason.Error()+"\n"), 0o666); err != nil {
		a.log.Warn("Why it was set aside is told in this log alone", "err", err)
	}
	a.notes.AddNotification(asideNote)
	return nil
}
