package testguard

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine is what tests could leave elsewhere than in their temporary folder.
type machine struct {
	mounts     []mount
	links      []string // names of interfaces
	namespaces []string // that `ip netns` has made
}

// mount is a line of /proc/self/mountinfo, as far as it is of interest.
type mount struct {
	id, point string
}

func readMachine() (m machine, err error) {
	if m.mounts, err = readMounts(); err != nil {
		return m, err
	}
	links, err := net.Interfaces()
	if err != nil {
		return m, err
	}
	for _, l := range links {
		m.links = append(m.links, l.Name)
	}
	names, _ := filepath.Glob("/run/netns/*") // the pattern is right
	m.namespaces = names
	return m, nil
}

func readMounts() (all []mount, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 { // 36 35 98:0 /root /point options …
			all = append(all, mount{id: f[0], point: unescape.Replace(f[4])})
		}
	}
	return all, nil
}

// unescape undoes what the kernel does to paths there.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// below are the mounts in a folder.
func below(mounts []mount, folder string) (found []mount) {
	for _, m := range mounts {
		if within(m.point, folder) {
			found = append(found, m)
		}
	}
	return found
}

// unmount unmounts, what is mounted last first.
func unmount(mounts []mount) error {
	var problems []error
	for _, m := range slices.Backward(mounts) {
		if err := syscall.Unmount(m.point, syscall.MNT_DETACH); err != nil {
			problems = append(problems, fmt.Errorf("unmount %s: %w", m.point, err))
		}
	}
	return errors.Join(problems...)
}

// restore names what is there that was not before, and takes away what is the tests'
// own. The kernel takes a moment to remove the network of processes that have ended.
func (g *guard) restore(passed bool) (left []string) {
	if !passed { // of tests that were cut short it is no news
		left = g.takeAway()
	}
	for end := time.Now().Add(g.grace); ; time.Sleep(pollInterval) {
		news, err := g.news()
		if err != nil {
			return append(left, err.Error())
		}
		if len(news) == 0 || time.Now().After(end) {
			left = append(left, news...)
			break
		}
	}
	if passed {
		left = append(left, g.takeAway()...)
	}
	return left
}

// takeAway removes mounts and interfaces of the tests, and names what cannot be.
func (g *guard) takeAway() (left []string) {
	mounts, err := readMounts()
	for _, err := range []error{err, unmount(below(mounts, g.tmp)), removeLinks(g.tmp)} {
		if err != nil {
			left = append(left, err.Error())
		}
	}
	return left
}

// news names what is there and was not before. What is known to be somebody else's is
// left out: mounts in another temporary folder, interfaces that say whose they are.
func (g *guard) news() (left []string, err error) {
	now, err := readMachine()
	if err != nil {
		return nil, err
	}
	for _, m := range now.mounts {
		others := within(m.point, filepath.Dir(g.tmp)) && !within(m.point, g.tmp)
		if !others && !slices.Contains(g.before.mounts, m) {
			left = append(left, "mount "+m.point)
		}
	}
	for _, l := range now.links {
		owner := ownerOf(l)
		others := filepath.IsAbs(owner) && !within(owner, g.tmp)
		if !others && !slices.Contains(g.before.links, l) {
			left = append(left, "interface "+l)
		}
	}
	for _, n := range now.namespaces {
		if !slices.Contains(g.before.namespaces, n) {
			left = append(left, "network namespace "+n)
		}
	}
	return left, nil
}

// ownerOf is the alias of an interface: tests write the folder there that it belongs to.
func ownerOf(link string) string {
	alias, _ := os.ReadFile(filepath.Join("/sys/class/net", link, "ifalias")) // it may be gone
	return strings.TrimSpace(string(alias))
}

// removeLinks removes the interfaces that belong to a folder.
func removeLinks(folder string) error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	var problems []error
	for _, l := range links {
		if !within(ownerOf(l.Name), folder) {
			continue
		}
		if out, err := exec.Command("ip", "link", "delete", l.Name).CombinedOutput(); err != nil {
			problems = append(problems, fmt.Errorf("interface %s: %w: %s", l.Name, err, out))
		}
	}
	return errors.Join(problems...)
}
