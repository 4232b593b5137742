package promstack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// makeLog writes a file of a log with records of many sizes, each of which tells its
// number, and returns its name.
func makeLog(t testing.TB, dir string, records int) string {
	t.Helper()
	w, err := wlog.New(quiet(), nil, dir, compression.None)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		record := append(fmt.Appendf(nil, "%04d ", i), bytes.Repeat([]byte{byte('a' + i%26)}, 50+i*i*7%90_000)...)
		if err := w.Log(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return wlog.SegmentName(dir, 0)
}

// readLog returns the numbers of the records in a log, and how the reading ended.
func readLog(t testing.TB, dir string) (numbers []int, err error) {
	t.Helper()
	segments, err := wlog.NewSegmentsReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer segments.Close()
	r := wlog.NewReader(segments)
	for r.Next() {
		var n int
		if _, err := fmt.Sscanf(string(r.Record()[:min(5, len(r.Record()))]), "%04d ", &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, r.Err()
}

// mended applies to a file what was found to be damaged in it.
func mended(t testing.TB, name string) (places int) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	patches, reason, err := scanLog(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if (reason == nil) != (len(patches) == 0) {
		t.Fatalf("%d places, reason %v", len(patches), reason)
	}
	if err := writePatched(name, bytes.NewReader(text), patches); err != nil {
		t.Fatal(err)
	}
	return len(patches)
}

// Wherever a file is damaged, what is mended is read to its end, and of the records
// only those near the damage are missing.
func TestMendLog(t *testing.T) {
	t.Parallel()
	const records = 120
	whole, err := os.ReadFile(makeLog(t, t.TempDir(), records))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		lose   int // records at most
		sound  bool
	}{
		"nothing":          {func(b []byte) []byte { return b }, 0, true},
		"one byte":         {func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, 2, false},
		"a length":         {func(b []byte) []byte { b[1] = 0xff; return b }, 30, false},
		"a type":           {func(b []byte) []byte { b[0] = 7; return b }, 30, false},
		"a page":           {func(b []byte) []byte { copy(b[10*logPage+9:], make([]byte, logPage)); return b }, 4, false},
		"pages":            {func(b []byte) []byte { fillRandom(b[10*logPage+100 : 14*logPage]); return b }, 8, false},
		"the end":          {func(b []byte) []byte { return b[:len(b)/3] }, records*2/3 + 10, false},
		"all":              {func(b []byte) []byte { fillRandom(b); return b }, records, false},
		"text":             {func([]byte) []byte { return []byte("nothing to be read") }, records, false},
		"zeros at the end": {func(b []byte) []byte { return append(b, make([]byte, 3*logPage)...) }, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := wlog.SegmentName(dir, 0)
			if err := os.WriteFile(file, c.damage(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			before, err := readLog(t, dir)
			if (err == nil) != c.sound {
				t.Fatalf("the damage does not show: %v", err)
			}
			if places := mended(t, file); (places == 0) != c.sound {
				t.Errorf("%d places", places)
			}
			got, err := readLog(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			if lost := records - len(got); lost > c.lose || len(got) < len(before) {
				t.Errorf("%d of %d records are lost, want at most %d; without mending %d", lost, records, c.lose, records-len(before))
			}
			for i := 1; i < len(got); i++ {
				if got[i] <= got[i-1] {
					t.Errorf("record %d comes behind %d", got[i], got[i-1])
				}
			}
			if places := mended(t, file); places != 0 {
				t.Errorf("what was mended is damaged in %d places", places)
			}
		})
	}
}

func fillRandom(b []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// Any file is readable once it is mended.
func FuzzMendLog(f *testing.F) {
	whole, err := os.ReadFile(makeLog(f, f.TempDir(), 12))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte{}, 0)
	f.Add(0, []byte{7}, 0)
	f.Add(logPage, []byte("xyz"), 0)
	f.Add(100, bytes.Repeat([]byte{0xff}, 300), 2*logPage+77)
	f.Fuzz(func(t *testing.T, at int, with []byte, cut int) {
		b := bytes.Clone(whole)
		if at < 0 || at >= len(b) || cut < 0 || cut >= len(b) {
			return
		}
		copy(b[at:], with)
		b = b[:len(b)-cut]
		dir := t.TempDir()
		if err := os.WriteFile(wlog.SegmentName(dir, 0), b, 0o600); err != nil {
			t.Fatal(err)
		}
		mended(t, filepath.Join(dir, "00000000"))
		if _, err := readLog(t, dir); err != nil {
			t.Error(err)
		}
	})
}
