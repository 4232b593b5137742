package stateagent

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// File is one that settings come from, and is watched.
type File struct {
	Type string // "config", "customresourceconfig" or "kubeconfig", for the metrics
	Name string
}

// MaxFile bounds the bytes of a file with settings.
const MaxFile = 4 << 20

// ReadFile reads a file with settings.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, MaxFile)
	}
	return text, err
}

// files watches the files that settings come from. They are read every few
// seconds: what Kubernetes mounts from a config map is a chain of links that are
// exchanged, and may not be there yet.
type files struct {
	watched []File
	waiting bool                      // what they hold is good and not shown yet
	seen    map[string][md5.Size]byte // by name, as of the last look
	now     func() time.Time

	successful *prometheus.GaugeVec
	succeeded  *prometheus.GaugeVec
	hash       *prometheus.GaugeVec
}

// unread is the sum of a file that cannot be read, which no text has.
var unread [md5.Size]byte

func newFiles(r prometheus.Registerer) *files {
	labels := []string{"type", "filename"}
	f := &files{
		seen: make(map[string][md5.Size]byte),
		now:  time.Now,
		successful: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kube_state_metrics_last_config_reload_successful", Help: "Whether what the file said when it was last read was good and is shown, 1 or 0."}, labels),
		succeeded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kube_state_metrics_last_config_reload_success_timestamp_seconds", Help: "When the file was last read and good, in seconds since 1970."}, labels),
		hash: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kube_state_metrics_config_hash", Help: "A number made from the text of the file that counts: 48 bits of its MD5 sum."}, labels),
	}
	r.MustRegister(f.successful, f.succeeded, f.hash)
	return f
}

// sums are those of the watched files as they are.
func (f *files) sums() map[string][md5.Size]byte {
	sums := make(map[string][md5.Size]byte, len(f.watched))
	for _, file := range f.watched {
		sums[file.Name] = unread
		if text, err := ReadFile(file.Name); err == nil {
			sums[file.Name] = md5.Sum(text)
		}
	}
	return sums
}

// changed looks at the files, and tells whether one is another than at the last look.
func (f *files) changed() bool {
	changed := false
	for name, sum := range f.sums() {
		if f.seen[name] != sum {
			f.seen[name], changed = sum, true
		}
	}
	return changed
}

// wait says that what the files hold is good, and not shown yet.
func (f *files) wait(watched []File) {
	f.watch(watched)
	f.waiting = true
	for _, file := range watched {
		if f.seen[file.Name] != unread {
			f.successful.WithLabelValues(file.Type, file.Name).Set(0)
		}
	}
}

// taken says that what was waited for is shown.
func (f *files) taken() {
	if f.waiting {
		f.good(f.watched)
	}
}

// good says that what the files hold is what counts.
func (f *files) good(watched []File) {
	f.watch(watched)
	f.waiting = false
	for _, file := range watched {
		if sum := f.seen[file.Name]; sum != unread {
			f.successful.WithLabelValues(file.Type, file.Name).Set(1)
			f.succeeded.WithLabelValues(file.Type, file.Name).Set(float64(f.now().UnixMilli()) / 1e3)
			f.hash.WithLabelValues(file.Type, file.Name).Set(hashValue(sum))
		}
	}
}

// watch sets the files that are watched.
func (f *files) watch(watched []File) {
	for _, file := range f.watched {
		if !slices.Contains(watched, file) {
			for _, m := range []*prometheus.GaugeVec{f.successful, f.succeeded, f.hash} {
				m.DeleteLabelValues(file.Type, file.Name)
			}
			delete(f.seen, file.Name)
		}
	}
	f.watched = watched
	f.changed()
}

// bad says that what the files hold is not used. The error is of one of them, if
// it is a *FileError, else any may be to blame.
func (f *files) bad(err error) {
	f.waiting = false // for what an older text asked for
	broken := new(FileError)
	for _, file := range f.watched {
		if !errors.As(err, &broken) || broken.Name == file.Name {
			f.successful.WithLabelValues(file.Type, file.Name).Set(0)
		}
	}
}

// FileError is what is wrong with a file that settings come from.
type FileError struct {
	Name string
	Err  error
}

func (e *FileError) Error() string {
	if path := new(fs.PathError); errors.As(e.Err, &path) && path.Path == e.Name {
		return e.Err.Error() // it names the file
	}
	return e.Name + ": " + e.Err.Error()
}
func (e *FileError) Unwrap() error { return e.Err }

// hashValue is the number that kube-state-metrics makes of a sum: its first six
// bytes, the lowest first, for a float holds no more.
func hashValue(sum [md5.Size]byte) float64 {
	var b [8]byte
	copy(b[:], sum[:6])
	return float64(binary.LittleEndian.Uint64(b[:]))
}
