package testcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"watchpost/internal/testguard"
)

// machine is what a cluster could change of the machine and must not.
type machine struct {
	tunables map[string]string
	rules    string // of the packet filter
}

func readMachine() (machine, error) {
	m := machine{tunables: map[string]string{}}
	for name := range tunables {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return m, err
		}
		m.tunables[name] = strings.TrimSpace(string(value))
	}
	rules, err := onMachine("iptables-save")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(rules) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") { // times, counters
			m.rules += line
		}
	}
	return m, nil
}

// folderPrefix begins the names of the folders of clusters.
const folderPrefix = "watchpost-cluster-"

// Sweep removes what is left of clusters whose folders are in tmp and whose starter was
// killed: their processes and mounts have gone with it; interface, control groups and
// folder stay.
func Sweep(tmp string) error {
	dirs, err := filepath.Glob(filepath.Join(tmp, folderPrefix+"*"))
	if err != nil {
		return err
	}
	var problems []error
	for _, dir := range dirs {
		held, err := testguard.Lock(dir)
		if err != nil {
			continue // its starter lives
		}
		link, _ := os.ReadFile(filepath.Join(dir, linkFile)) // there is none before the network
		problems = append(problems, unlink(string(link)), removeCgroups("/"+filepath.Base(dir)), os.RemoveAll(dir), held.Close())
	}
	return errors.Join(problems...)
}

// left is the error that names what is left of the cluster, a moment after all its
// processes have ended.
func (c *Cluster) left() error {
	var problem error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(pollInterval) {
		if problem = c.look(); problem == nil {
			return nil
		}
	}
	return problem
}

func (c *Cluster) look() error {
	var problems []error
	left := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("left of the cluster: "+format, args...))
	}
	if c.place != nil {
		users, _ := filepath.Glob("/proc/[0-9]*/ns/*") // the pattern is right
		for _, user := range users {
			id, err := os.Readlink(user)
			if err == nil && slices.Contains(c.place.ids, id) { // one that has ended is gone
				left("%s is in its namespace %s", filepath.Dir(filepath.Dir(user)), id)
			}
		}
		if _, err := net.InterfaceByName(c.place.link); c.place.link != "" && err == nil {
			left("interface %s", c.place.link)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	problems = append(problems, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, c.dir) {
			left("mount %s", line)
		}
	}
	if _, err := os.Lstat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		left("folder %s", c.dir)
	}
	folders, err := cgroupFolders(c.cgroup())
	problems = append(problems, err)
	for _, folder := range folders {
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			left("control group %s", folder)
		}
	}
	after, err := readMachine()
	problems = append(problems, err)
	if after.rules != c.before.rules {
		left("packet filter rules: before:\n%safter:\n%s", c.before.rules, after.rules)
	}
	for _, name := range slices.Sorted(maps.Keys(tunables)) {
		if after.tunables[name] != c.before.tunables[name] {
			left("%s is %s, was %s", name, after.tunables[name], c.before.tunables[name])
		}
	}
	return errors.Join(problems...)
}
