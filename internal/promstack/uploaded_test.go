package promstack

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

// A block waits until the list has it, if the list can be read, and only before its
// first merge.
func TestUploaded(t *testing.T) {
	const id = "01M7ZKZJHE0J1JTPHQKJBREW6Z"
	file := filepath.Join(t.TempDir(), "thanos.shipper.json")
	var log syncBuffer
	now := time.Now()
	u := &uploaded{file: file, log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	block := &tsdb.BlockMeta{ULID: ulid.MustParse(id)}
	block.Compaction.Level = 1
	wants := func(what string, want bool) {
		t.Helper()
		if got := u.waitsFor(block); got != want {
			t.Errorf("%s: waits %t", what, got)
		}
	}
	wants("no file", false)
	wants("no file yet", false)
	writeFile(t, file, "{")
	wants("a broken file", false)
	if n := strings.Count(log.String(), "is not known"); n != 2 {
		t.Errorf("told %d times: %s", n, &log)
	}
	writeFile(t, file, `{"version":1,"uploaded":["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}`)
	wants("not in the list", true)
	writeFile(t, file, `{"version":1,"uploaded":["`+id+`"]}`)
	wants("not read again so soon", true)
	now = now.Add(uploadedEach)
	wants("in the list", false)
	writeFile(t, file, `{"version":1,"uploaded":[]}`)
	now = now.Add(uploadedEach)
	wants("a list without any", true)
	block.Compaction.Level = 2
	wants("merged before", false)
}
