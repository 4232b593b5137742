package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSeriesJSON(t *testing.T) {
	var r Series
	if err := json.Unmarshal([]byte(`{"metric":{"a":"b"},"values":[[1763726400.123,"1"],[1763726410,"NaN"]]}`), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Values) != 2 || r.Values[0].Value != 1 || r.Values[0].At.UnixMilli() != 1763726400123 || r.Metric["a"] != "b" {
		t.Errorf("%+v", r)
	}
	if err := json.Unmarshal([]byte(`{"value":[1,"x"]}`), &r); err == nil {
		t.Error("a value that is no number was read")
	}
}

func TestDiskUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wal", "0"), make([]byte, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "wal", "1"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := unix.Fallocate(int(log.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 50<<20); err != nil {
		t.Skip(err) // not of this file system
	}
	sparse := filepath.Join(dir, "sparse")
	if err := os.WriteFile(sparse, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(sparse, 100<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, Reserve), make([]byte, 20<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := DiskUse(dir); err != nil || n < 20<<20 || n > 30<<20 {
		t.Errorf("%d bytes with all, %v", n, err)
	}
	if n, err := DiskUse(dir, Reserve); err != nil || n < 100_000 || n > 10<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := DiskUse(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there has a size")
	}
}
