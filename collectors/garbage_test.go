package collectors

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/testkit"
)

// storageFiles tells which collector reads what below a path of the made-up host.
var storageFiles = map[string]string{
	"proc/drbd": "drbd", "proc/mdstat": "mdadm", "proc/net/rpc/nfs": "nfs", "proc/net/rpc/nfsd": "nfsd", "proc/self": "mountstats",
	"proc/spl": "zfs", "sys/block/md": "mdadm", "sys/block": "dmmultipath", "sys/class/fc_host": "fibrechannel", "sys/class/nvme": "nvme",
	"sys/class/nvme-subsystem": "nvmesubsystem", "sys/class/scsi_tape": "tapestats", "sys/fs/bcache": "bcache", "sys/fs/bcachefs": "bcachefs",
	"sys/fs/btrfs": "btrfs", "sys/fs/xfs": "xfs",
}

// TestStorageGarbage puts one file after another out of order: empty, cut off,
// binary, and where the kernel writes more than a value, very long. Whatever comes
// of it is an exposition without a series twice, and no panic.
func TestStorageGarbage(t *testing.T) {
	dir := testkit.Unpack(t, "testdata/storage.txt")
	cfg := on(hostfs.FS{Proc: dir + "/proc", Sys: dir + "/sys", Root: dir, Udev: dir + "/udev"})
	cfg.Bcache.PriorityStats = true
	made := make(map[string]Collector)
	for _, name := range storageFiles {
		made[name] = make1(t, name, cfg)
		render(t, made[name]) // all in order
	}
	tried := 0
	random := rand.New(rand.NewPCG(1, 2))
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		name, longest := "", 0
		for prefix, n := range storageFiles {
			if strings.HasPrefix(rel, prefix) && len(prefix) > longest {
				name, longest = n, len(prefix)
			}
		}
		good, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		binary := make([]byte, 300)
		for i := range binary {
			binary[i] = byte(random.Uint32())
		}
		for _, bad := range [][]byte{nil, good[:len(good)/2], binary, bytes.Repeat(good, 1+garbageLength(good)/(len(good)+1))} {
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				return err
			}
			var w expo.Writer
			if err := collect(context.Background(), &unit{collector: made[name]}, &w); err != nil && strings.Contains(err.Error(), "BUG") {
				t.Errorf("%s of %q: %v", rel, bad[:min(len(bad), 300)], err)
			}
			values(t, string(w.Bytes()))
			tried++
		}
		return os.WriteFile(path, good, 0o644)
	})
	if err != nil || tried < 500 {
		t.Errorf("%d files tried, %v", tried, err)
	}
	for name, c := range made {
		if _, err := renderErr(c); err != nil {
			t.Errorf("%s, when all is in order again: %v", name, err)
		}
	}
}

// garbageLength is how long a file is made: 10 MB where it has several lines.
func garbageLength(good []byte) int {
	if bytes.Count(good, []byte("\n")) > 5 {
		return 10 << 20
	}
	return 1 << 10
}
