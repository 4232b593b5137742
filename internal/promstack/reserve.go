package promstack

// Room on the disk for when it is full. A file that holds some space is given up then:
// samples go on to the disk, and there is time to act. Where that space is used up as
// well, samples stay in memory (outage.go). When there is space again they are written,
// and the file is made anew.
//
// The TSDB ends the program when it cannot write the finished chunks of its memory to
// their file, as it does every minute; and what it cannot write to its log to the end
// it forgets, with the names of series that come with it. So both files have room of
// their own, behind their ends, where nobody else can take it, for the moment until it
// is seen that the disk is full. Then finished chunks are written once more, and after
// that there are none until there is space again.

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
const (
	diskFull = "The disk of the data directory is full. Free some space: samples will be lost soon."
	inMemory = "The disk of the data directory takes no more: samples are in memory alone, and are lost when the program ends. Free some space."
)

// The room behind the file of finished chunks: chunkRoomSeries bytes for each series (a
// chunk of 120 samples takes 150 to 1000), within bounds.
const (
	chunkRoomSeries = 400
	chunkRoomMin    = 256 << 10
	chunkRoomMax    = 64 << 20
)

// The room behind the log is a quarter of the reserve, within bounds: 1 MiB is what a
// million series at 15 s write in five seconds.
const (
	logRoomMin = 1 << 20
	logRoomMax = 16 << 20
)

// memory is where samples stay while the disk takes none.
type memory interface {
	begin() error                    // use it
	inUse() bool                     // whether it is in use
	bound()                          // forget what is too much
	drain(ctx context.Context) error // write all to the disk
}

// disk is what the reserve asks of the TSDB.
type disk interface {
	settle()     // writes the finished chunks of the memory
	series() int // in memory
}

// reserve is the file and who watches over it. Its methods may be called from any
// goroutine.
type reserve struct {
	path   string
	log    *slog.Logger
	notes  *notifications.Notifications
	memory memory
	disk   disk

	mu    sync.Mutex
	size  int64     // 0: none could be made
	given bool      // given up
	told  time.Time // of the last word in the log

	rooms   map[string]string // by folder, the newest file, which has room behind its end
	settled bool              // finished chunks were written since samples stay in memory
}

// newReserve makes the file. A disk without room for it is one on which it has been
// given up.
func newReserve(dir string, log *slog.Logger, notes *notifications.Notifications, reg prometheus.Registerer, m memory, d disk) *reserve {
	r := &reserve{path: filepath.Join(dir, reserveName), log: log, notes: notes, memory: m, disk: d, rooms: make(map[string]string)}
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

// makeRoom gives up what the last run has reserved where the disk is full: a start needs
// some space.
func makeRoom(dir string) error {
	_, free, err := space(dir)
	if err != nil || free >= reserveMin/4 {
		return err
	}
	if err := os.Remove(filepath.Join(dir, reserveName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
			r.remember(ctx)
		}
	}
}

// remember moves samples between memory and disk.
func (r *reserve) remember(ctx context.Context) {
	if !r.memory.inUse() {
		r.settled = false
		r.keepRooms()
		return
	}
	if !r.settled {
		r.settled = true
		r.notes.AddNotification(inMemory)
		r.mu.Lock()
		r.giveUp()
		r.mu.Unlock()
		r.disk.settle()
	}
	r.memory.bound()
	if _, free, err := space(filepath.Dir(r.path)); err != nil || free < r.need()/2 {
		return
	}
	if err := r.memory.drain(ctx); err != nil {
		r.log.Warn("Samples that are in memory alone could not be written yet", "err", err)
		return
	}
	r.notes.DeleteNotification(inMemory)
}

// need is the space with which the disk counts as usable: half of it to leave the
// memory, an eighth to stay out of it.
func (r *reserve) need() int64 { return max(r.size, reserveMin) }

// keepRooms sees to the room behind the log and the finished chunks.
func (r *reserve) keepRooms() {
	chunks := min(max(int64(r.disk.series())*chunkRoomSeries, chunkRoomMin), chunkRoomMax)
	if r.size > 0 {
		chunks = min(chunks, r.size)
	}
	r.keepRoom("chunks_head", "%06d", chunks)
	r.keepRoom("wal", "%08d", min(max(r.size/4, logRoomMin), logRoomMax))
}

// keepRoom sees to it that the newest file of a folder has room behind its end, and that
// the one before it has none any more.
func (r *reserve) keepRoom(name, file string, room int64) {
	folder := filepath.Join(filepath.Dir(r.path), name)
	numbers, err := logFiles(folder)
	if err != nil || len(numbers) == 0 {
		return
	}
	newest, was := filepath.Join(folder, fmt.Sprintf(file, numbers[len(numbers)-1])), r.rooms[folder]
	r.rooms[folder] = newest
	if err := addRoom(newest, room); err != nil {
		if newest != was && !noSpace(err) {
			r.log.Warn("No room can be reserved behind a file: a full disk can cost samples, or end the program", "file", newest, "err", err)
		}
		return
	}
	if was != "" && was != newest {
		if err := dropRoom(was); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.log.Warn("Room behind a file stays reserved", "file", was, "err", err)
		}
	}
}

// addRoom reserves blocks of the disk behind the end of a file, whose size stays.
func addRoom(name string, room int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if has := info.Sys().(*syscall.Stat_t).Blocks * 512; has >= info.Size()+room/2 {
		return nil // not each time a chunk was written
	}
	return sys.Fallocate(int(f.Fd()), sys.FALLOC_FL_KEEP_SIZE, info.Size(), room)
}

// dropRoom gives blocks behind the end of a file back, to which nothing is written any
// more.
func dropRoom(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.Truncate(name, info.Size())
}

// failed is told of writes that failed.
func (r *reserve) failed(err error) {
	if !noSpace(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
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
	case r.given && free < r.need()/8 && !r.memory.inUse():
		if err := r.memory.begin(); err != nil {
			r.log.Error("Samples cannot stay in memory and will be lost", "err", err)
		}
	case r.given && free >= r.size+r.size/2 && !r.memory.inUse():
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
