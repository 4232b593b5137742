package collectors

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

func btrfsTree(t *testing.T) hostfs.FS {
	files := map[string]string{"sys/fs/btrfs/features/raid1c34": "0\n"}
	for _, uuid := range []string{"aaaa-bbbb", "cccc-dddd"} {
		u := "sys/fs/btrfs/" + uuid + "/"
		files[u+"label"] = "data\n"
		files[u+"features/x"] = "1\n"
		files[u+"devices/sda1/size"] = "2048\n"
		files[u+"devices/sdb1/size"] = "4096\n"
		files[u+"devices/sdc1/size"] = "4096\n"
		files[u+"allocation/global_rsv_size"] = "33\n"
		for kind, layout := range map[string]string{"data": "raid5", "metadata": "raid1", "system": "single"} {
			files[u+"allocation/"+kind+"/bytes_reserved"] = "7\n"
			files[u+"allocation/"+kind+"/"+layout+"/total_bytes"] = "100\n"
			files[u+"allocation/"+kind+"/"+layout+"/used_bytes"] = "40\n"
		}
	}
	files["sys/fs/btrfs/aaaa-bbbb/commit_stats"] = "commits 3\nlast_commit_ms 1000\nmax_commit_ms 2500\ntotal_commit_ms 4500\n"
	return tree(t, files)
}

func TestBtrfs(t *testing.T) {
	fs := btrfsTree(t)
	c := make1(t, "btrfs", on(fs))
	v := values(t, render(t, c))
	for series, want := range map[string]float64{
		`node_btrfs_info{uuid="aaaa-bbbb",label="data"}`:                                     1,
		`node_btrfs_global_rsv_size_bytes{uuid="cccc-dddd"}`:                                 33,
		`node_btrfs_commits_total{uuid="aaaa-bbbb"}`:                                         3,
		`node_btrfs_commits_total{uuid="cccc-dddd"}`:                                         0, // a kernel before 6.0
		`node_btrfs_last_commit_seconds{uuid="aaaa-bbbb"}`:                                   1,
		`node_btrfs_max_commit_seconds{uuid="aaaa-bbbb"}`:                                    2.5,
		`node_btrfs_commit_seconds_total{uuid="aaaa-bbbb"}`:                                  4.5,
		`node_btrfs_reserved_bytes{uuid="aaaa-bbbb",block_group_type="system"}`:              7,
		`node_btrfs_used_bytes{uuid="aaaa-bbbb",block_group_type="data",mode="raid5"}`:       40,
		`node_btrfs_size_bytes{uuid="aaaa-bbbb",block_group_type="metadata",mode="raid1"}`:   100,
		`node_btrfs_allocation_ratio{uuid="aaaa-bbbb",block_group_type="data",mode="raid5"}`: 1.5,
		`node_btrfs_device_size_bytes{uuid="cccc-dddd",device="sda1"}`:                       1 << 20,
		`node_btrfs_device_size_bytes{uuid="cccc-dddd",device="sdb1"}`:                       2 << 20,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
		}
	}
	if len(v) != 2*(1+1+4+3+9+3) {
		t.Errorf("%d series", len(v))
	}
	write(t, fs.SysPath("fs/btrfs/aaaa-bbbb/commit_stats"), "commits many\n", false)
	costs(t, c, "fs/btrfs/aaaa-bbbb: ", `uuid="cccc-dddd"`, `uuid="aaaa-bbbb"`)
	os.RemoveAll(fs.SysPath("fs/btrfs"))
	same(t, render(t, c), "")
}

// The requests are those of the kernel's header on this machine.
func TestBtrfsRequests(t *testing.T) {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		t.Fatal(err)
	}
	if _, devices, err := askBtrfs(fd, nil); (err == nil) != (st.Type == unix.BTRFS_SUPER_MAGIC) || err != nil && devices != nil {
		t.Errorf("%v, devices %v of a file system of type %x", err, devices, st.Type)
	}
}

// On a host with Btrfs: all devices are told, and their sizes are those of sysfs.
func TestBtrfsLive(t *testing.T) {
	names, _ := hostfs.ReadDirNames("/sys/fs/btrfs")
	told := 0
	text := render(t, make1(t, "btrfs", DefaultConfig()))
	for _, name := range names {
		if !strings.Contains(name, "-") {
			continue
		}
		told++
		devices, _ := hostfs.ReadDirNames("/sys/fs/btrfs/" + name + "/devices")
		for _, d := range devices {
			if !strings.Contains(text, `node_btrfs_device_size_bytes{uuid="`+name+`",device="`+d+`"`) {
				t.Errorf("%s of %s is missing:\n%s", d, name, text)
			}
		}
	}
	if told == 0 {
		t.Skip("no Btrfs is mounted here")
	}
}
