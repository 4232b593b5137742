package collectors

import (
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

const mdstatText = `Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md127 : active raid5 sdf1[3] sde1[1](F) sdd1[0] sdg1[4](S)
      1953259520 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/2] [U_U]
      [===>.................]  recovery = 17.4% (170127360/976629760) finish=88.1min speed=152544K/sec
      bitmap: 2/8 pages [8KB], 65536KB chunk

md2 : active (auto-read-only) raid1 sdk1[1] sdj1[0]
      97589248 blocks super 1.2 [2/2] [UU]
        resync=PENDING

unused devices: <none>
`

func mdTree(t *testing.T) hostfs.FS {
	return tree(t, map[string]string{
		"proc/mdstat":                 mdstatText,
		"sys/block/md127/md/level":    "raid5\n",
		"sys/block/md127/md/degraded": "1\n", "sys/block/md127/md/raid_disks": "3 (2)\n",
		"sys/block/md2/md/level": "raid1\n", "sys/block/md2/md/degraded": "0\n", "sys/block/md2/md/raid_disks": "2\n",
		"sys/block/sda/": "",
	})
}

func TestMdadm(t *testing.T) {
	fs := mdTree(t)
	c := make1(t, "mdadm", on(fs))
	same(t, render(t, c), `# TYPE node_md_state gauge
node_md_state{device="md127",state="active"} 0
node_md_state{device="md127",state="check"} 0
node_md_state{device="md127",state="inactive"} 0
node_md_state{device="md127",state="recovering"} 1
node_md_state{device="md127",state="resync"} 0
node_md_state{device="md2",state="active"} 0
node_md_state{device="md2",state="check"} 0
node_md_state{device="md2",state="inactive"} 0
node_md_state{device="md2",state="recovering"} 0
node_md_state{device="md2",state="resync"} 1
# TYPE node_md_disks gauge
node_md_disks{device="md127",state="active"} 2
node_md_disks{device="md127",state="failed"} 1
node_md_disks{device="md127",state="spare"} 1
node_md_disks{device="md2",state="active"} 2
node_md_disks{device="md2",state="failed"} 0
node_md_disks{device="md2",state="spare"} 0
# TYPE node_md_disks_required gauge
node_md_disks_required{device="md127"} 3
node_md_disks_required{device="md2"} 2
# TYPE node_md_blocks gauge
node_md_blocks{device="md127"} 1953259520
node_md_blocks{device="md2"} 97589248
# TYPE node_md_blocks_synced gauge
node_md_blocks_synced{device="md127"} 170127360
node_md_blocks_synced{device="md2"} 0
# TYPE node_md_raid_disks gauge
node_md_raid_disks{device="md127"} 3
node_md_raid_disks{device="md2"} 2
# TYPE node_md_degraded gauge
node_md_degraded{device="md127"} 1
node_md_degraded{device="md2"} 0
`)

	write(t, fs.SysPath("block/md127/md/raid_disks"), "three\n", false)
	costs(t, c, `md127/md/raid_disks: "three"`, `node_md_raid_disks{device="md2"} 2`, `node_md_raid_disks{device="md127"}`)
	write(t, fs.ProcPath("mdstat"), strings.Replace(mdstatText, "1953259520 blocks", "many blocks", 1), false)
	costs(t, c, "mdstat: array md127", `node_md_blocks{device="md2"}`, `node_md_blocks{device="md127"}`)
}

// No arrays: nothing is said, and nothing is wrong.
func TestMdadmNone(t *testing.T) {
	same(t, render(t, make1(t, "mdadm", on(tree(t, map[string]string{"proc/mdstat": "Personalities : \nunused devices: <none>\n"})))), "")
}

func TestParseMdstat(t *testing.T) {
	for _, tc := range []struct {
		text string
		want mdArray
	}{
		{"md0 : active raid1 a[0] b[1]\n 8 blocks [2/2] [UU]\n", mdArray{state: "active", required: 2, active: 2, blocks: 8, synced: 8}},
		{"md0 : active raid0 a[0] b[1]\n 8 blocks super external:/md127/0 64k chunks\n", mdArray{state: "active", required: 2, active: 2, blocks: 8, synced: 8}},
		{"md0 : active linear a[0] b[1](F)\n 8 blocks 0k rounding\n", mdArray{state: "active", required: 2, active: 2, failed: 1, blocks: 8, synced: 8}},
		{"md0 : inactive a[0](S) b[1](S)\n 8 blocks super external:imsm\n", mdArray{state: "inactive", spare: 2, blocks: 8, synced: 8}},
		{"md0 : inactive\n  \n", mdArray{state: "inactive"}},
		{"md0 : active raid1 a[0] b[1]\n 8 blocks [2/2] [UU]\n [=>..]  check =  5.7% (3/8) finish=0.2min speed=1K/sec\n", mdArray{state: "check", required: 2, active: 2, blocks: 8, synced: 3}},
		{"md0 : active raid1 a[0] b[1]\n 8 blocks [2/2] [UU]\n bitmap: 0/1 pages [0KB], 65536KB chunk\n [=>..]  reshape =  5.7% (3/8) finish=0.2min speed=1K/sec\n", mdArray{state: "reshape", required: 2, active: 2, blocks: 8, synced: 3}},
		{"md0 : active raid1 a[0] b[1]\n 8 blocks [2/2] [UU]\n resync=REMOTE\n", mdArray{state: "resync", required: 2, active: 2, blocks: 8}},
	} {
		tc.want.name = "md0"
		got, err := parseMdstat([]byte(tc.text))
		if err != nil || len(got) != 1 || got[0] != tc.want {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", tc.text, got, err, tc.want)
		}
	}
	for _, bad := range []string{"md0 : \n", "md0 : active raid1 a[0]\n x blocks\n", "md0 : active\n 8 blocks\n resync = 1% (x/8)\n"} {
		if got, err := parseMdstat([]byte(bad)); err == nil || len(got) > 0 {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
}

func FuzzMdstat(f *testing.F) {
	f.Add([]byte(mdstatText))
	f.Add([]byte("md0 : active raid1 [\n 8 blocks [/] [\n  check = ("))
	f.Add([]byte("\x00 : \xff\n\t\n blocks blocks"))
	f.Fuzz(func(t *testing.T, b []byte) {
		arrays, _ := parseMdstat(b)
		for _, a := range arrays {
			if a.state == "" || a.name == "Personalities" {
				t.Errorf("%q: %+v", b, a)
			}
		}
	})
}
