package collectors

import (
	"math"
	"os"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

const (
	kstatHeader = "13 1 0x01 147 39984 8010436841 97951858082072\nname                            type data\n"
	kstatText   = kstatHeader + "hits                            4    8772612\nmemory_available_bytes          3    -922337\nnew-value   4 7\nnew_value   4 8\ncomment  7 some text\n"
	zpoolIOText = "12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n" +
		"1884160  3206144  22       132      7155162  104112268 79210489694949 24168078 104112268 79210489849220 0        1       \n"
	objsetText = "23 1 0x01 7 2160 221578688875 6665999035587\nname                            type data\ndataset_name                    7    tank/with blank\nwrites                          4    4\nnread                           4    28\n"
)

func zfsTree(t *testing.T) hostfs.FS {
	const z = "proc/spl/kstat/zfs/"
	return tree(t, map[string]string{
		z + "arcstats": kstatText, z + "fm": kstatHeader + "erpt-dropped 4 18\n", z + "dbgmsg": "timestamp message\n",
		z + "tank/io": zpoolIOText, z + "tank/objset-0x36": objsetText, z + "tank/state": "ONLINE\n",
		z + "tank/objset-0x37": strings.NewReplacer("nread ", "state ", "tank/with blank", "tank/other").Replace(objsetText), // not the state of a pool
		z + "old/state":        "SOMETHING\n", z + "old/txgs": "",
	})
}

func TestZFS(t *testing.T) {
	fs := zfsTree(t)
	c := make1(t, "zfs", on(fs))
	text := render(t, c)
	for i := range zfsStates {
		if i > 0 && zfsStates[i-1] >= zfsStates[i] {
			t.Error("states are not sorted")
		}
	}
	v := values(t, text)
	for series, want := range map[string]float64{
		"node_zfs_arc_hits": 8772612, "node_zfs_arc_memory_available_bytes": -922337, "node_zfs_arc_new_value": 7, "node_zfs_fm_erpt_dropped": 18,
		`node_zfs_zpool_nread{zpool="tank"}`: 1884160, `node_zfs_zpool_rcnt{zpool="tank"}`: 1,
		`node_zfs_zpool_dataset_writes{zpool="tank",dataset="tank/with blank"}`: 4,
		`node_zfs_zpool_state{zpool="tank",state="online"}`:                     1, `node_zfs_zpool_state{zpool="tank",state="faulted"}`: 0,
		`node_zfs_zpool_state{zpool="old",state="online"}`: 0,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
		}
	}
	for _, kind := range []string{"# TYPE node_zfs_arc_hits untyped\n", "# TYPE node_zfs_arc_new_value untyped\n", "# TYPE node_zfs_zpool_state gauge\n"} {
		if !strings.Contains(text, kind) {
			t.Errorf("%q is missing", kind)
		}
	}
}

func TestZFSFaults(t *testing.T) {
	fs := zfsTree(t)
	c := make1(t, "zfs", on(fs))
	os.Remove(fs.ProcPath("spl/kstat/zfs/tank/objset-0x37"))
	write(t, fs.ProcPath("spl/kstat/zfs/arcstats"), kstatHeader+"hits 4 1\nmisses 4 x\n", false)
	costs(t, c, `arcstats: line "misses 4 x"`, "node_zfs_fm_erpt_dropped 18", "node_zfs_arc")
	write(t, fs.ProcPath("spl/kstat/zfs/arcstats"), kstatText, false)
	write(t, fs.ProcPath("spl/kstat/zfs/tank/io"), "nread writes\n1\n", false)
	costs(t, c, "tank/io: line ", `node_zfs_zpool_dataset_nread`, "node_zfs_zpool_nread")
	os.RemoveAll(fs.ProcPath("spl/kstat/zfs/tank")) // exported
	if text := render(t, c); strings.Contains(text, "tank") || !strings.Contains(text, "node_zfs_arc_hits") {
		t.Errorf("after the export:\n%s", text)
	}
}

func TestKstatBad(t *testing.T) {
	many := strings.Repeat("x 4 1\n", maxKernelNames+1)
	for _, text := range []string{"", "13 1 0x01\n", "hits 4 1\n", kstatHeader + "hits 4 -1\n", kstatHeader + "hits 4\n", kstatHeader + "hits 3 1.5\n", kstatHeader + many} {
		if _, _, err := parseKstat([]byte(text), nil); err == nil {
			t.Errorf("%.80q was taken", text)
		}
	}
	for _, text := range []string{"", "nwritten nread\n1 2\n", "nread nwritten\n", "nread nwritten\n1 x\n"} {
		if _, err := parseZpoolIO([]byte(text), nil); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzKstat(f *testing.F) {
	f.Add([]byte(kstatText))
	f.Add([]byte(objsetText))
	f.Add([]byte(zpoolIOText))
	f.Add([]byte("name type data\n\x00 4 1\ndataset_name\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, _, err := parseKstat(b, nil)
		if io, errIO := parseZpoolIO(b, nil); errIO == nil {
			values = append(values, io...)
		}
		for _, v := range values {
			if len(v.name) == 0 || math.IsNaN(v.v) {
				t.Errorf("%q: %q %v, %v", b, v.name, v.v, err)
			}
		}
	})
}
