package promstack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// oldTime is when the blocks of these tests begin, a multiple of two hours.
func oldTime() time.Time { return time.Now().Add(-48 * time.Hour).Truncate(2 * time.Hour) }

// makeBlock writes a block of two hours with the series old{job=JOB}, of which each
// sample is 1, and returns its folder.
func makeBlock(t *testing.T, dir, job string, from time.Time) string {
	t.Helper()
	w, err := tsdb.NewBlockWriter(quiet(), dir, (2 * time.Hour).Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	app := w.Appender(t.Context())
	for series := range 50 {
		set := labels.FromStrings("__name__", "old", "job", job, "n", fmt.Sprint(series))
		for at := from; at.Before(from.Add(2 * time.Hour)); at = at.Add(time.Minute) {
			if _, err := app.Append(0, set, at.UnixMilli(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	id, err := w.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, id.String())
}

// damage changes a file at a place, or at the end where that is negative.
func damage(t *testing.T, file string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if at < 0 {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		at += info.Size()
	}
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
}

func shorten(t *testing.T, file string, size int64) {
	t.Helper()
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// wantsAside waits until exactly these kinds were set aside and are told of by the
// folder, the metric, the API and the log.
func (e *engine) wantsAside(kinds ...string) {
	e.t.Helper()
	eventually(e.t, func() error {
		w := httptest.NewRecorder()
		e.PageHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/storage", nil))
		var answer struct {
			Data struct{ SetAside []AsideItem }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			return fmt.Errorf("%s: %w", w.Body, err)
		}
		left := append([]string(nil), kinds...)
		for _, item := range answer.Data.SetAside {
			i := indexOf(left, item.Kind)
			if i < 0 {
				return fmt.Errorf("set aside: %s", w.Body)
			}
			left = append(left[:i], left[i+1:]...)
			if item.Reason == "" || time.Since(item.Time) > time.Hour {
				return fmt.Errorf("not told when and why: %+v", item)
			}
			if _, err := os.Stat(filepath.Join(e.cfg.Storage.Dir, asideName, item.Name)); err != nil {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("not set aside: %v, but %s", left, w.Body)
		}
		return nil
	})
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "watchpost_storage_set_aside" {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	if int(sum) != len(kinds) {
		e.t.Errorf("the metric tells %g, want %d", sum, len(kinds))
	}
	if told := strings.Contains(e.log.String(), "was set aside"); told != (len(kinds) > 0) {
		e.t.Errorf("told in the log: %t", told)
	}
	if noted := len(e.notes.Get()) > 0; noted != (len(kinds) > 0) {
		e.t.Errorf("told by the API: %t", noted)
	}
}

func indexOf(items []string, item string) int {
	for i := range items {
		if items[i] == item {
			return i
		}
	}
	return -1
}

// Blocks that cannot be opened are set aside at the start; all others are served, and
// what is scraped is stored.
func TestBrokenBlocksAtTheStart(t *testing.T) {
	dir := t.TempDir()
	at := oldTime()
	block := func(job string, hours int) string {
		return makeBlock(t, dir, job, at.Add(time.Duration(hours)*time.Hour))
	}
	block("whole", 0)
	damage(t, filepath.Join(block("meta", 2), "meta.json"), 0, []byte("}"))
	remove(t, filepath.Join(block("nometa", 4), "meta.json"))
	shorten(t, filepath.Join(block("index", 6), "index"), 1000)
	remove(t, filepath.Join(block("noindex", 8), "index"))
	remove(t, filepath.Join(block("nochunks", 10), "chunks"))
	remove(t, filepath.Join(block("nofile", 12), "chunks", "000001"))
	shorten(t, filepath.Join(block("shortfile", 14), "chunks", "000001"), 1000)
	damage(t, filepath.Join(block("magic", 16), "chunks", "000001"), 0, []byte("xxxx"))
	damage(t, filepath.Join(block("toc", 18), "index"), -20, []byte("xxxx"))
	makeBlock(t, dir, "over", at.Add(time.Hour)) // overlaps with the first
	half := filepath.Join(dir, "01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp-for-creation")
	if err := os.MkdirAll(filepath.Join(half, "chunks"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(half, "chunks", "000001"), "half")

	e := startYML(t, dir, jobs(map[string]string{"a": target(t, "answer 42\n")}))
	e.wants("answer", "a", "42")
	e.wantsAside("block", "block", "block", "block", "block", "block", "block", "block", "block")
	got, err := e.query("sum by (job) (count_over_time(old[72h]))", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"whole": "6000", "over": "6000"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("served: %v, want %v", got, want)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("a block that was not written to its end: %v", err)
	}
}

// A block whose chunks are damaged opens as any other. It is set aside when a query
// fails on it.
func TestDamagedChunksFoundByAQuery(t *testing.T) {
	dir := t.TempDir()
	makeBlock(t, dir, "whole", oldTime())
	damage(t, filepath.Join(makeBlock(t, dir, "damaged", oldTime().Add(2*time.Hour)), "chunks", "000001"), 500, bytes.Repeat([]byte{0xa5}, 400))
	cfg, log := testConfig(t, dir, jobs(nil))
	cfg.Storage.LookEach = time.Second
	e := start(t, cfg, log)
	if _, err := e.query("sum by (job) (count_over_time(old[72h]))", time.Now()); err == nil {
		t.Error("the damage does not show, and so proves nothing")
	}
	eventually(t, func() error {
		got, err := e.query("sum by (job) (count_over_time(old[72h]))", time.Now())
		if err == nil && fmt.Sprint(got) != "map[whole:6000]" {
			err = fmt.Errorf("served: %v", got)
		}
		return err
	})
	e.wantsAside("block")
	eventually(t, func() error {
		w := e.get("/status/tsdb/blocks", nil)
		if n := strings.Count(w.Body.String(), `"stats"`); n != 1 {
			return fmt.Errorf("blocks: %s", w.Body)
		}
		return nil
	})
}

// A block whose chunks are damaged ends a compaction. It is set aside, and the others
// are merged.
func TestDamagedChunksFoundByACompaction(t *testing.T) {
	dir := t.TempDir()
	at := oldTime()
	makeBlock(t, dir, "one", at)
	makeBlock(t, dir, "two", at.Add(30*time.Minute))
	damage(t, filepath.Join(makeBlock(t, dir, "damaged", at.Add(time.Hour)), "chunks", "000001"), 500, bytes.Repeat([]byte{0xa5}, 400))
	cfg, log := testConfig(t, dir, jobs(nil))
	cfg.Storage.LookEach = time.Second
	e := start(t, cfg, log)
	e.wantsAside("block")
	eventually(t, func() error {
		w := e.get("/status/tsdb/blocks", nil)
		if n := strings.Count(w.Body.String(), `"stats"`); n != 1 || strings.Contains(w.Body.String(), `"failed"`) {
			return fmt.Errorf("%d blocks, want one that was merged: %s", n, w.Body)
		}
		return nil
	})
	got, err := e.query("sum by (job) (count_over_time(old[72h]))", time.Now())
	if err != nil || fmt.Sprint(got) != "map[one:6000 two:6000]" {
		t.Errorf("served: %v, %v", got, err)
	}
}

// makeMemory writes a data directory of a collector that was killed, or stopped where
// it has a snapshot: a block, and in the log and the chunks of the memory what came
// after it. It has 100 series old{job="m"} with a sample every 40 s.
func makeMemory(t *testing.T, dir string, stopped bool) {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize = 2 * logPage
	o.EnableMemorySnapshotOnShutdown = stopped
	o.MinBlockDuration, o.MaxBlockDuration = (2 * time.Hour).Milliseconds(), (2 * time.Hour).Milliseconds()
	db, err := tsdb.Open(dir, quiet(), nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	refs := make([]storage.SeriesRef, 100)
	// It ends 50 minutes into the time of a block, whatever the time of the day: then the
	// block before is in memory, too, with its chunks finished.
	end := time.Now().Truncate(2 * time.Hour).Add(-70 * time.Minute)
	for at := end.Add(-5 * time.Hour); at.Before(end); at = at.Add(40 * time.Second) {
		for group := 0; group < len(refs); group += 20 {
			app := db.AppenderV2(t.Context())
			for i := group; i < group+20; i++ {
				set := labels.FromStrings("__name__", "old", "job", "m", "n", fmt.Sprint(i))
				if refs[i], err = app.Append(refs[i], set, 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := app.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.ForceHeadMMap()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// one is the only path of a pattern, or the one in the middle of several.
func one(t *testing.T, pattern ...string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(found) == 0 {
		t.Fatalf("%v: %v, %v", pattern, found, err)
	}
	return found[len(found)/2]
}

// What is damaged of the log, its checkpoint, the chunks of the memory and its snapshot
// costs itself at most: the start goes on, and what was elsewhere too is there.
func TestDamagedMemory(t *testing.T) {
	const all = 100 * 450
	killed, stopped := t.TempDir(), t.TempDir()
	makeMemory(t, killed, false)
	makeMemory(t, stopped, true)
	junk := bytes.Repeat([]byte{0xa5}, 40)
	for name, c := range map[string]struct {
		from   string
		damage func(t *testing.T, dir string)
		least  int // samples that are served
		aside  []string
	}{
		"killed":  {killed, func(*testing.T, string) {}, all, nil},
		"stopped": {stopped, func(*testing.T, string) {}, all, nil},
		"log": {killed, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "wal", "0*"), logPage+1000, junk)
		}, all - 2000, []string{"log"}},
		"a page of the log": {killed, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "wal", "0*"), 0, bytes.Repeat(junk, logPage/len(junk)))
		}, all - 12_000, []string{"log"}},
		"two files of the log": {killed, func(t *testing.T, dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			damage(t, files[len(files)-3], 1000, junk)
			damage(t, files[len(files)/2], 1000, junk)
		}, all - 4000, []string{"log", "log"}},
		"end of the log": {killed, func(t *testing.T, dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			for _, f := range files[2:] {
				remove(t, f)
			}
			shorten(t, files[1], logPage+100)
		}, all - 30_000, []string{"log"}},
		"a file of the log is missing": {killed, func(t *testing.T, dir string) {
			remove(t, one(t, dir, "wal", "0*"))
		}, all - 30_000, nil},
		"all of the log": {killed, func(t *testing.T, dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			for _, f := range files {
				writeFile(t, f, "what is this?")
			}
			remove(t, one(t, dir, "wal", "checkpoint*"))
		}, all / 3, nil},
		"checkpoint": {killed, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "wal", "checkpoint*", "0*"), 300, junk[:1])
		}, all - 20*450, []string{"checkpoint"}},
		"checkpoint is empty": {killed, func(t *testing.T, dir string) {
			shorten(t, one(t, dir, "wal", "checkpoint*", "0*"), 0)
		}, all / 3, nil},
		"checkpoint is a file": {killed, func(t *testing.T, dir string) {
			c := one(t, dir, "wal", "checkpoint*")
			remove(t, c)
			writeFile(t, c, "what is this?")
		}, all / 3, nil},
		"chunks": {killed, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "chunks_head", "0*"), 3000, junk)
		}, all, []string{"head_chunks"}},
		"chunks of a stop": {stopped, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "chunks_head", "0*"), 3000, junk)
		}, all, []string{"head_chunks"}},
		"chunks that were never written": {killed, func(t *testing.T, dir string) {
			// A new file is laid out before its first chunks are written.
			files, _ := filepath.Glob(filepath.Join(dir, "chunks_head", "0*"))
			laid := make([]byte, 128<<10)
			copy(laid, "\x01\x30\xbc\x91\x01")
			writeFile(t, filepath.Join(dir, "chunks_head", fmt.Sprintf("%06d", len(files)+1)), string(laid))
		}, all, nil},
		"beginning of the chunks": {killed, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "chunks_head", "0*"), 0, junk)
		}, all, []string{"head_chunks"}},
		"snapshot": {stopped, func(t *testing.T, dir string) {
			damage(t, one(t, dir, "chunk_snapshot*", "0*"), 1000, junk)
		}, all, []string{"snapshot"}},
		"snapshot is empty": {stopped, func(t *testing.T, dir string) {
			remove(t, one(t, dir, "chunk_snapshot*", "0*"))
		}, all, []string{"snapshot"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(c.from)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			e := startYML(t, dir, jobs(map[string]string{"a": target(t, "answer 42\n")}))
			e.wants("answer", "a", "42")
			got, err := e.query("sum by (job) (count_over_time(old[10h]))", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := strconv.Atoi(got["m"]); n < c.least || n > all {
				t.Errorf("%d samples, want %d to %d", n, c.least, all)
			}
			if c.aside != nil || c.least == all {
				e.wantsAside(c.aside...)
			}
		})
	}
}
