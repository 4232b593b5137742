package collectors

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

var mountpointLabel = regexp.MustCompile(`mountpoint="(.*?)"`)

// pointsOf are the mount points of one family's series, sorted.
func pointsOf(v map[string]float64, family string) []string {
	seen := make(map[string]bool)
	for series := range v {
		if strings.HasPrefix(series, family+"{") {
			seen[mountpointLabel.FindStringSubmatch(series)[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// The mounts of a Kubernetes node with a volume that two pods share, one that a pod
// has a folder of, secrets, and a bind mount by hand.
const kubeletMounts = `27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
30 27 254:16 / /srv/long/way rw shared:2 - xfs /dev/vdb rw
31 27 254:16 / /srv rw shared:2 - xfs /dev/vdb rw
32 27 254:16 / /ro ro shared:2 - xfs /dev/vdb rw
33 27 254:16 /folder /f rw shared:2 - xfs /dev/vdb rw
34 27 254:0 /var/lib/kubelet /var/lib/kubelet rw shared:1 - ext4 /dev/vda rw
40 34 8:0 / /var/lib/kubelet/plugins/kubernetes.io/csi/d/0/globalmount rw shared:3 - ext4 /dev/sda rw
41 34 8:0 / /var/lib/kubelet/pods/b/volumes/kubernetes.io~csi/pvc-1/mount rw shared:3 - ext4 /dev/sda rw
42 34 8:0 / /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/pvc-1/mount rw shared:3 - ext4 /dev/sda rw
43 34 8:0 /sub /var/lib/kubelet/pods/a/volume-subpaths/pvc-1/c/0 rw shared:3 - ext4 /dev/sda rw
44 34 0:60 / /var/lib/kubelet/pods/a/volumes/kubernetes.io~secret/s1 rw - tmpfs tmpfs rw
45 34 0:61 / /var/lib/kubelet/pods/b/volumes/kubernetes.io~secret/s2 rw - tmpfs tmpfs rw
46 34 8:16 / /var/lib/kubelet/pods/c/volumes/kubernetes.io~csi/pvc-2/mount rw - ext4 /dev/sdb rw
47 27 8:16 / /a/place/of/the/hosts/own/that/is/longer/than/that/of/the/pod/so/that/it/is/seen/which/counts rw - ext4 /dev/sdb rw
`

func TestFilesystemTwins(t *testing.T) {
	own := "/a/place/of/the/hosts/own/that/is/longer/than/that/of/the/pod/so/that/it/is/seen/which/counts"
	pod := "/var/lib/kubelet/pods/a/"
	want := []string{
		"/", own, "/f", "/ro", "/srv", "/var/lib/kubelet", pod + "volume-subpaths/pvc-1/c/0", pod + "volumes/kubernetes.io~csi/pvc-1/mount",
		pod + "volumes/kubernetes.io~secret/s1", "/var/lib/kubelet/pods/b/volumes/kubernetes.io~secret/s2",
	}
	f, fake, fs := mounted(t, kubeletMounts, nil)
	check := func(what string, want []string) {
		t.Helper()
		v := values(t, render(t, f))
		for _, family := range []string{"node_filesystem_device_error", "node_filesystem_readonly", "node_filesystem_size_bytes", "node_filesystem_files_free", "node_filesystem_purgeable_bytes"} {
			if got := pointsOf(v, family); !slices.Equal(got, want) {
				t.Errorf("%s: %s of\n%s\nwant\n%s", what, family, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		if got := len(pointsOf(v, "node_filesystem_mount_info")); got != strings.Count(kubeletMounts, "\n") {
			t.Errorf("%s: mount_info of %d", what, got)
		}
	}
	check("first", want)

	// Where the best cannot be asked, the next stands for it.
	fake.fails["/host/srv"] = unix.EACCES
	v := values(t, render(t, f))
	if got := pointsOf(v, "node_filesystem_size_bytes"); !slices.Contains(got, "/srv/long/way") || slices.Contains(pointsOf(v, "node_filesystem_device_error"), "/srv") {
		t.Errorf("without /srv: %q", got)
	}
	// Where none can, the best says so.
	fake.fails["/host/srv/long/way"] = unix.EIO
	v = values(t, render(t, f))
	if v[`node_filesystem_device_error{device="/dev/vdb",device_error="permission denied",fstype="xfs",mountpoint="/srv"}`] != 1 ||
		slices.Contains(pointsOf(v, "node_filesystem_device_error"), "/srv/long/way") {
		t.Errorf("with neither: %v", v)
	}
	fake.fails = map[string]error{}
	check("mended", want)

	// One that is gone leaves its place to the next.
	if err := os.WriteFile(fs.ProcPath("1/mountinfo"), regexp.MustCompile(`(?m)^42 .*\n`).ReplaceAll([]byte(kubeletMounts), nil), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := pointsOf(values(t, render(t, f)), "node_filesystem_size_bytes"); !slices.Contains(got, "/var/lib/kubelet/pods/b/volumes/kubernetes.io~csi/pvc-1/mount") {
		t.Errorf("after a pod's end: %q", got)
	}

	// What the filters leave out stands for nothing.
	f, _, _ = mounted(t, kubeletMounts, func(c *Config) { c.Filesystem.MountPointsExclude = `^/(srv|f|ro|a|var/lib/kubelet/pods/.+)$` })
	if got, want := pointsOf(values(t, render(t, f)), "node_filesystem_size_bytes"), []string{
		"/", "/srv/long/way", "/var/lib/kubelet", "/var/lib/kubelet/plugins/kubernetes.io/csi/d/0/globalmount",
	}; !slices.Equal(slices.DeleteFunc(got, func(p string) bool { return p == own }), want) {
		t.Errorf("with a pattern: %q, want %q", got, want)
	}

	// As node_exporter has it.
	f, _, _ = mounted(t, kubeletMounts, func(c *Config) { c.Filesystem.Duplicates = true })
	if got := pointsOf(values(t, render(t, f)), "node_filesystem_size_bytes"); len(got) != strings.Count(kubeletMounts, "\n") {
		t.Errorf("with all: %q", got)
	}
}

// A bind mount that the kernel made.
func TestFilesystemTwinsLive(t *testing.T) {
	ownNetwork(t, func(t *testing.T, _ hostfs.FS) {
		dir := t.TempDir()
		for _, name := range []string{"data", "data-again", "folder"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		data := filepath.Join(dir, "data")
		if err := unix.Mount("scratch", data, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("no tmpfs can be mounted here: ", err)
		}
		defer unix.Unmount(data, unix.MNT_DETACH)
		if err := os.Mkdir(filepath.Join(data, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		for from, to := range map[string]string{data: "data-again", filepath.Join(data, "sub"): "folder"} {
			to = filepath.Join(dir, to)
			if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(to, unix.MNT_DETACH)
		}
		fs := tree(t, map[string]string{"proc/1/mountinfo": "-> /proc/thread-self/mountinfo"})
		cfg := on(hostfs.FS{Proc: fs.Proc, Sys: "/sys", Root: "/"})
		cfg.Filesystem.MountPointsExclude, cfg.Filesystem.MountPointsInclude = "", "^"+dir
		for all, want := range map[bool][]string{
			false: {data, filepath.Join(dir, "folder")},
			true:  {data, data + "-again", filepath.Join(dir, "folder")},
		} {
			cfg.Filesystem.Duplicates = all
			v := values(t, render(t, make1(t, "filesystem", cfg)))
			if got := pointsOf(v, "node_filesystem_size_bytes"); !slices.Equal(got, want) {
				t.Errorf("all %v: %q, want %q", all, got, want)
			}
			if got := len(pointsOf(v, "node_filesystem_mount_info")); got != 3 {
				t.Errorf("all %v: mount_info of %d", all, got)
			}
		}
	})
}
