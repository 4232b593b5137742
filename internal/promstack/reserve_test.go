package promstack

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/util/notifications"
)

// The space is there, is given up when a write finds none, and is taken back where
// there is space; then a snapshot is made, until one succeeds. test/e2e fills a disk.
func TestReserve(t *testing.T) {
	var log syncBuffer
	reg := prometheus.NewRegistry()
	notes := notifications.NewNotifications(1, prometheus.NewRegistry())
	snapshots, outcome := 0, error(nil)
	r := newReserve(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)), notes, reg, func() error { snapshots++; return outcome })
	wants := func(what string, given bool, made int) {
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
		if snapshots != made {
			t.Errorf("%s: %d snapshots, want %d", what, snapshots, made)
		}
	}
	wants("at the start", false, 0)
	r.failed(errors.New("something else"))
	wants("another error", false, 0)
	r.failed(fmt.Errorf("write to WAL: %w", &os.PathError{Op: "write", Path: "wal", Err: syscall.ENOSPC}))
	r.mend()
	wants("a full disk", true, 0)
	r.failed(syscall.ENOSPC)
	if n := strings.Count(log.String(), "The disk is full"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &log)
	}
	r.look()
	outcome = errors.New("no")
	r.mend()
	wants("space again, no snapshot", false, 1)
	r.mend() // too early for another one
	r.retryAt, outcome = r.told, nil
	r.mend()
	wants("space again", false, 2)
	r.mend()
	wants("all is well", false, 2)
	if !strings.Contains(log.String(), "There is space on the disk again") || !strings.Contains(log.String(), "a kill would lose samples") {
		t.Errorf("log:\n%s", &log)
	}
}
