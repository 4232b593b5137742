package testcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cgroupMount is where the controllers of control groups are, each in its folder with
// version 1, all in this one with version 2.
const cgroupMount = "/sys/fs/cgroup"

// cgroup is the control group that holds those of all pods.
func (c *Cluster) cgroup() string { return "/" + filepath.Base(c.dir) }

// cgroupFolders are where a control group is, or would be.
func cgroupFolders(cgroup string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(cgroupMount, cgroup)}, nil
	}
	mounts, err := filepath.Glob(filepath.Join(cgroupMount, "*"))
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, mount := range mounts {
		info, err := os.Lstat(mount)
		if err != nil {
			return nil, err
		}
		if info.IsDir() { // a link is another name of one of them
			folders = append(folders, filepath.Join(mount, cgroup))
		}
	}
	return folders, nil
}

func (c *Cluster) makeCgroups() error {
	folders, err := cgroupFolders(c.cgroup())
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // without them nothing runs in a new cpuset of version 1
			all, err := os.ReadFile(filepath.Join(filepath.Dir(folder), name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, name), all, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroups removes them with those below; a process takes a moment to leave its
// own.
func removeCgroups(cgroup string) error {
	folders, err := cgroupFolders(cgroup)
	if err != nil {
		return err
	}
	var problem error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(pollInterval) {
		problem = nil
		for _, folder := range folders {
			var below []string
			filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error { // what is not there is removed
				if err == nil && d.IsDir() {
					below = append(below, path)
				}
				return nil
			})
			for _, path := range slices.Backward(below) {
				if err := syscall.Rmdir(path); err != nil && !errors.Is(err, syscall.ENOENT) {
					problem = fmt.Errorf("control group %s: %w", path, err)
				}
			}
		}
		if problem == nil {
			return nil
		}
	}
	return problem
}

// Processes are the ids, on the machine, of the processes of a container; its name
// begins with the runtime's, as in a pod's status, or not.
func (c *Cluster) Processes(container string) ([]int, error) {
	_, id, found := strings.Cut(container, "://")
	if !found {
		id = container
	}
	folders, err := cgroupFolders(c.cgroup())
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || d.Name() != id {
				return nil // another container's may vanish meanwhile
			}
			text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			for word := range strings.FieldsSeq(string(text)) {
				var pid int
				if _, err := fmt.Sscan(word, &pid); err == nil && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("no process is in the control groups of container %s", id)
	}
	return pids, nil
}
