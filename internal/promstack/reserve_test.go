package promstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/util/notifications"
)

// The space is there, is given up when a write finds none, and is taken back where
// there is space. TestDiskFull and test/e2e fill a disk.
func TestReserve(t *testing.T) {
	var log syncBuffer
	reg := prometheus.NewRegistry()
	notes := notifications.NewNotifications(1, prometheus.NewRegistry())
	fake := &fakeTSDB{}
	r := newReserve(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)), notes, reg, fake, fake)
	wants := func(what string, given bool) {
		t.Helper()
		info, err := os.Stat(r.path)
		if there := err == nil; there == given {
			t.Errorf("%s: the file: %v", what, err)
		} else if there && info.Sys().(*syscall.Stat_t).Blocks*512 < reserveMin {
			t.Errorf("%s: the file has %d blocks", what, info.Sys().(*syscall.Stat_t).Blocks)
		}
		full := 0.0
		if given {
			full = 1
		}
		expected := fmt.Sprintf("# HELP watchpost_storage_disk_full 1 while the disk of the data directory is full and its reserve in use.\n# TYPE watchpost_storage_disk_full gauge\nwatchpost_storage_disk_full %g\n", full)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(expected)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if told := len(notes.Get()) > 0; told != given {
			t.Errorf("%s: notifications %v", what, notes.Get())
		}
	}
	wants("at the start", false)
	r.failed(errors.New("something else"))
	wants("another error", false)
	r.failed(fmt.Errorf("write to WAL: %w", &os.PathError{Op: "write", Path: "wal", Err: syscall.ENOSPC}))
	wants("a full disk", true)
	r.failed(syscall.ENOSPC)
	if n := strings.Count(log.String(), "The disk is full"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &log)
	}
	r.look()
	wants("space again", false)
	if !strings.Contains(log.String(), "There is space on the disk again") {
		t.Errorf("log:\n%s", &log)
	}
}

// fakeTSDB counts what the reserve asks for.
type fakeTSDB struct {
	using           bool
	settled, drains int
}

func (f *fakeTSDB) begin() error                { f.using = true; return nil }
func (f *fakeTSDB) inUse() bool                 { return f.using }
func (f *fakeTSDB) bound()                      {}
func (f *fakeTSDB) drain(context.Context) error { f.drains++; f.using = false; return nil }
func (f *fakeTSDB) settle()                     { f.settled++ }
func (f *fakeTSDB) series() int                 { return 1000 }

// When samples stay in memory the reserve is given up and finished chunks are written,
// once; with space on the disk all is written.
func TestReserveRemembers(t *testing.T) {
	notes := notifications.NewNotifications(1, prometheus.NewRegistry())
	fake := &fakeTSDB{}
	dir := t.TempDir()
	r := newReserve(dir, slog.New(slog.DiscardHandler), notes, prometheus.NewRegistry(), fake, fake)
	folder := filepath.Join(dir, "chunks_head")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	blocks := func(name string) (size, has int64) {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	writeFile(t, filepath.Join(folder, "000001"), "chunks")
	r.remember(t.Context())
	if size, has := blocks("000001"); size != 6 || has < chunkRoomSeries*1000 {
		t.Skipf("no room can be reserved on this file system: %d bytes in %d", size, has)
	}
	writeFile(t, filepath.Join(folder, "000002"), "more")
	r.remember(t.Context())
	if size, has := blocks("000002"); size != 4 || has < chunkRoomSeries*1000 {
		t.Errorf("the newest file: %d bytes in %d", size, has)
	}
	if size, has := blocks("000001"); size != 6 || has > 64<<10 {
		t.Errorf("the file before it: %d bytes in %d", size, has)
	}
	fake.begin()
	r.remember(t.Context())
	if fake.settled != 1 || fake.drains != 1 || fake.using || !r.given {
		t.Errorf("settled %d times, drained %d times, in use %t, given up %t", fake.settled, fake.drains, fake.using, r.given)
	}
	r.look()
	if r.given {
		t.Error("the reserve was not made anew")
	}
}
