package promstack

// How far an endpoint has got: a small file for each, replaced as a whole.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// marksFolder is below the data directory.
const marksFolder = "watchpost-remote-write"

// place is a place in the log: the number of a segment and of a record in it, which
// both stay the same when the storage mends the log. Places can be compared.
type place uint64

// endOfSegment is the number of no record: it comes after all of them.
const endOfSegment = 1<<32 - 1

func at(segment, rec int) place { return place(segment)<<32 | place(uint32(rec)) }

func (p place) segment() int { return int(p >> 32) }

func (p place) String() string { return fmt.Sprintf("%d:%d", p>>32, uint32(p)) }

func (p place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *place) UnmarshalText(b []byte) error {
	var segment, rec uint32
	if n, err := fmt.Sscanf(string(b), "%d:%d", &segment, &rec); n != 2 {
		return fmt.Errorf("%q is not a place in the log: %w", b, err)
	}
	*p = at(int(segment), int(rec))
	return nil
}

// mark says what an endpoint has taken.
type mark struct {
	Endpoint string  `json:"endpoint"` // for people
	Shards   []place `json:"shards"`   // all before it is taken, of the series whose number modulo their count is the index
	Time     int64   `json:"time_ms"`  // of the newest sample before all of them; for what has left the log for a checkpoint
}

// first is the place from which on samples are missing.
func (m *mark) first() place {
	p := m.Shards[0]
	for _, s := range m.Shards {
		p = min(p, s)
	}
	return p
}

// last is the place from which on all samples are missing.
func (m *mark) last() place {
	p := m.Shards[0]
	for _, s := range m.Shards {
		p = max(p, s)
	}
	return p
}

func markFile(folder, key string) string { return filepath.Join(folder, key+".json") }

// readMark returns nil where there is none.
func readMark(folder, key string) (*mark, error) {
	b, err := os.ReadFile(markFile(folder, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseMark(b)
}

func parseMark(b []byte) (*mark, error) {
	m := new(mark)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%q: %w", oneLine(b[:min(len(b), 80)]), err)
	}
	if len(m.Shards) == 0 {
		return nil, fmt.Errorf("%q: no shards", oneLine(b[:min(len(b), 80)]))
	}
	return m, nil
}

// write replaces the file. Without sync a power cut may bring an older mark back, as
// it may the log.
func (m *mark) write(folder, key string, sync bool) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	file := markFile(folder, key)
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(file + ".new")
		return err
	}
	return os.Rename(file+".new", file)
}

// forgetMarks removes those of endpoints that are not in the configuration any more.
// One that comes back begins anew.
func forgetMarks(folder string, known map[string]bool, log *slog.Logger) {
	files, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("Remote write: the folder of its marks cannot be read", "err", err)
	}
	for _, f := range files {
		key, _, _ := strings.Cut(f.Name(), ".")
		if known[key] {
			continue
		}
		if err := os.Remove(filepath.Join(folder, f.Name())); err != nil {
			log.Warn("Remote write: a mark that is not needed any more cannot be removed", "err", err)
		}
	}
}
