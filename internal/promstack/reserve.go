package promstack

// Room on the disk for when it is full. The TSDB drops what it cannot write to its
// log, so a disk that somebody else fills would end the collection. A file that holds
// some space is given up then: scraping goes on, and there is time to act. When there
// is space again the file is made anew.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/util/notifications"
	sys "golang.org/x/sys/unix"
)

// The reserve is reserveShare of the disk, within bounds: 4 MiB are minutes for a host
// and 256 MiB an hour for a million series at 15 s (2 bytes a sample, compressed).
const (
	reserveName  = "watchpost-reserve"
	reserveShare = 64
	reserveMin   = 4 << 20
	reserveMax   = 256 << 20
)

// reserveTick is how often the space that is left is looked at, and reserveReminder
// how often the log tells of a full disk.
const (
	reserveTick     = time.Second
	reserveReminder = time.Minute
)

// diskFull is what the API's notifications say meanwhile.
const diskFull = "The disk of the data directory is full. Free some space: samples will be lost soon."

// reserve is the file and who watches over it. Its methods may be called from any
// goroutine.
type reserve struct {
	path     string
	log      *slog.Logger
	notes    *notifications.Notifications
	snapshot func() error // makes a restart independent of the log so far

	mu      sync.Mutex
	size    int64     // 0: none could be made
	given   bool      // given up
	torn    bool      // the log may hold a record that was not written to its end
	told    time.Time // of the last word in the log
	retryAt time.Time // of the next snapshot
}

// newReserve makes the file. A disk without room for it is one on which it has been
// given up.
func newReserve(dir string, log *slog.Logger, notes *notifications.Notifications, reg prometheus.Registerer, snapshot func() error) *reserve {
	r := &reserve{path: filepath.Join(dir, reserveName), log: log, notes: notes, snapshot: snapshot}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "watchpost_storage_disk_full",
		Help: "1 while the disk of the data directory is full and its reserve in use.",
	}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.given {
			return 1
		}
		return 0
	}))
	total, _, err := space(dir)
	if err != nil {
		log.Warn("No space is reserved for when the disk is full", "err", err)
		return r
	}
	r.size = min(max(total/reserveShare, reserveMin), reserveMax)
	r.given = true
	r.look()
	return r
}

// run watches until ctx ends.
func (r *reserve) run(ctx context.Context) {
	tick := time.NewTicker(reserveTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.look()
			r.mend()
		}
	}
}

// mend takes a snapshot of the memory where the log may hold a record that was not
// written to its end. Such a record would end the reading of the log at the next
// start; with the snapshot that start begins after it.
func (r *reserve) mend() {
	r.mu.Lock()
	due := r.torn && !r.given && time.Now().After(r.retryAt)
	r.mu.Unlock()
	if !due {
		return
	}
	err := r.snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.retryAt = time.Now().Add(reserveReminder)
		r.log.Error("After a full disk, a snapshot of the samples in memory failed: a kill would lose samples", "err", err)
		return
	}
	r.torn = false
}

// failed is told of writes that failed.
func (r *reserve) failed(err error) {
	if !errors.Is(err, syscall.ENOSPC) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.torn = true
	r.giveUp()
}

// look gives the reserve up where little space is left, and takes it back where there
// is plenty.
func (r *reserve) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size == 0 {
		return
	}
	_, free, err := space(filepath.Dir(r.path))
	switch {
	case err != nil:
		r.log.Warn("The space that is left on the disk is not known", "err", err)
	case !r.given && free < r.size/4:
		r.giveUp()
	case r.given && free >= r.size+r.size/2:
		r.takeBack()
	case r.given:
		r.tell()
	}
}

func (r *reserve) giveUp() {
	if !r.given {
		if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.log.Error("The space reserved for when the disk is full cannot be given up", "err", err)
			return
		}
	}
	r.given = true
	r.notes.AddNotification(diskFull)
	r.tell()
}

func (r *reserve) tell() {
	if now := time.Now(); now.Sub(r.told) >= reserveReminder {
		r.told = now
		r.log.Error("The disk is full: what was reserved is in use. Free some space, or samples will be lost",
			"dir", filepath.Dir(r.path), "reserved", fmt.Sprintf("%d MiB", r.size>>20))
	}
}

func (r *reserve) takeBack() {
	if err := r.make(); err != nil {
		os.Remove(r.path) // what is there of it is worth nothing
		r.tell()
		return
	}
	if !r.told.IsZero() {
		r.log.Info("There is space on the disk again", "dir", filepath.Dir(r.path))
	}
	r.given, r.told = false, time.Time{}
	r.notes.DeleteNotification(diskFull)
}

// make makes the file with blocks of the disk behind it.
func (r *reserve) make() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return sys.Fallocate(int(f.Fd()), 0, 0, r.size)
}

// space is what the disk of a folder has in all, and for us, in bytes.
func space(dir string) (total, free int64, err error) {
	var s sys.Statfs_t
	if err := sys.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", dir, err)
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}
