package collectors

// Traffic in other network namespaces (network_namespaces(7)). rtnetlink tells of
// the namespace that its socket was made in, so a thread enters each of them in
// turn by setns(2), asks, and is thrown away: a thread that is elsewhere must never
// run anything else. That takes CAP_SYS_ADMIN, and for namespaces of processes the
// right to look into those (CAP_SYS_PTRACE). No socket is kept, as it would keep
// the namespace, and any hardware that was moved there, from ending.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

// Bounds on what is told of other namespaces in a scrape.
const (
	mostNetns      = 512
	mostNetnsLinks = 1 << 14
	netnsPatience  = 2 * time.Second // for all of them together
)

// namedNetns are the folders in which ip-netns(8) names namespaces.
var namedNetns = []string{"/run/netns", "/var/run/netns"}

// netnsReader visits network namespaces. While a visit runs everything but the
// patterns is its own.
type netnsReader struct {
	host     hostfs.FS
	patterns []netnsPattern
	visiting bool
	back     chan struct{} // holds a token when a visit is over

	route  netlink.Route
	known  map[netnsID]*netns
	listed []*netns // those of the scrape at hand
}

// netnsPattern is what one flag asks for, as this process sees it.
type netnsPattern struct {
	glob string // up to the last part that is a pattern; empty where none is
	rest string // what comes after it
}

// netnsID tells one namespace from another.
type netnsID struct{ dev, inode uint64 }

// netns is a network namespace and what it counted.
type netns struct {
	id    netnsID
	label string
	path  string // as this process sees it
	links []netlink.Link
	err   error
}

// newNetnsReader checks the patterns: names below /run/netns, or absolute paths.
func newNetnsReader(host hostfs.FS, patterns []string) (*netnsReader, error) {
	r := &netnsReader{host: host, back: make(chan struct{}, 1), known: make(map[netnsID]*netns)}
	for _, p := range patterns {
		path := host.RootPath(p)
		if below, ok := strings.CutPrefix(p, "/proc/"); ok {
			path = host.ProcPath(below)
		} else if !strings.Contains(p, "/") {
			path = host.RootPath(filepath.Join(namedNetns[0], p))
		} else if !filepath.IsAbs(p) {
			return nil, fmt.Errorf("collector.netdev.netns: %q is neither a name nor an absolute path", p)
		}
		pattern := splitPattern(path)
		if _, err := filepath.Match(pattern.glob, ""); err != nil || p == "" {
			return nil, fmt.Errorf("collector.netdev.netns: %q is no name, path or pattern", p)
		}
		r.patterns = append(r.patterns, pattern)
	}
	return r, nil
}

func splitPattern(path string) netnsPattern {
	last := strings.LastIndexAny(path, `*?[\`)
	if last < 0 {
		return netnsPattern{rest: path}
	}
	if slash := strings.IndexByte(path[last:], '/'); slash >= 0 {
		return netnsPattern{path[:last+slash], path[last+slash:]}
	}
	return netnsPattern{glob: path}
}

// paths are what the pattern may mean; not all may be there. What follows the last
// part that is a pattern is not looked for, as filepath.Glob would: it passes over
// what may not be looked into without a word.
func (p netnsPattern) paths() []string {
	if p.glob == "" {
		return []string{p.rest}
	}
	paths, _ := filepath.Glob(p.glob) // the pattern was checked
	for i := range paths {
		paths[i] += p.rest
	}
	slices.SortFunc(paths, func(a, b string) int { // processes by their number
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return paths
}

var errNetnsBusy = errors.New("network namespaces: the visit before this one is not over")

// read visits the namespaces. Those that could be visited are returned with an
// error about the others; they are valid until the next call.
func (r *netnsReader) read(ctx context.Context) ([]*netns, error) {
	if r.visiting {
		select {
		case <-r.back:
			r.visiting = false
		default:
			return nil, errNetnsBusy
		}
	}
	problems := r.list()
	if len(r.listed) == 0 {
		return nil, firstOf(problems)
	}
	patience := netnsPatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)*4/5)
	}
	until := time.Now().Add(patience)
	r.visiting = true
	onSpareThread(func() {
		r.visit(until)
		r.back <- struct{}{}
	})
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-r.back:
		r.visiting = false
	case <-late.C:
		return nil, fmt.Errorf("network namespaces: not visited within %s", patience.Round(time.Millisecond))
	case <-ctx.Done():
		return nil, fmt.Errorf("network namespaces: %w", ctx.Err())
	}
	for _, n := range r.listed {
		if n.err != nil && !hostfs.Gone(n.err) {
			problems = append(problems, fmt.Errorf("network namespace %s: %w", n.label, n.err))
		}
	}
	return slices.DeleteFunc(r.listed, func(n *netns) bool { return n.err != nil }), firstOf(problems)
}

// firstOf makes one error of many.
func firstOf(problems []error) error {
	switch n := len(problems); n {
	case 0:
		return nil
	case 1:
		return problems[0]
	default:
		return fmt.Errorf("%w; and %d more", problems[0], n-1)
	}
}

// list finds the namespaces that the patterns mean, each once and without the one
// that this process is in, and what is in the way of finding more.
func (r *netnsReader) list() (problems []error) {
	r.listed = r.listed[:0]
	seen := make(map[netnsID]bool)
	labels := make(map[string]bool)
	if own, err := netnsIDOf("/proc/thread-self/ns/net"); err == nil {
		seen[own] = true
	}
	for _, p := range r.patterns {
		for _, path := range p.paths() {
			id, err := netnsIDOf(path)
			switch {
			case err != nil && hostfs.Gone(err) && p.glob != "", seen[id]:
				continue
			case err != nil:
				problems = append(problems, err)
				continue
			case len(r.listed) == mostNetns:
				return append(problems, fmt.Errorf("more than %d network namespaces", mostNetns))
			}
			seen[id] = true
			n := r.known[id]
			if n == nil {
				n = &netns{id: id}
				r.known[id] = n
			}
			n.path, n.label = path, r.label(path, labels)
			r.listed = append(r.listed, n)
		}
	}
	if len(r.known) > len(r.listed) {
		for id := range r.known {
			if !seen[id] {
				delete(r.known, id)
			}
		}
	}
	return problems
}

// label names a namespace: by its name if ip-netns gave it one, else by its path.
func (r *netnsReader) label(path string, taken map[string]bool) string {
	label := r.host.StripRoot(path)
	if below, err := filepath.Rel(r.host.Proc, path); err == nil && filepath.IsLocal(below) {
		label = filepath.Join("/proc", below)
	}
	if name := filepath.Base(label); slices.Contains(namedNetns, filepath.Dir(label)) && !taken[name] {
		label = name
	}
	taken[label] = true
	return label
}

func netnsIDOf(path string) (netnsID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return netnsID{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return netnsID{st.Dev, st.Ino}, nil
}

// visit fills the namespaces. It leaves the thread in the last of them.
func (r *netnsReader) visit(until time.Time) {
	left := mostNetnsLinks
	for _, n := range r.listed {
		switch {
		case left <= 0:
			n.err = fmt.Errorf("more than %d interfaces in all", mostNetnsLinks)
		case time.Now().After(until):
			n.err = errors.New("no time left")
		default:
			n.err = r.visitOne(n)
			left -= len(n.links)
		}
	}
}

func (r *netnsReader) visitOne(n *netns) error {
	// Not to wait for a pipe that somebody put there.
	fd, err := unix.Open(n.path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: n.path, Err: err}
	}
	err = unix.Setns(fd, unix.CLONE_NEWNET)
	unix.Close(fd)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("to enter it takes CAP_SYS_ADMIN: setns: %w", err)
	case err != nil:
		return &fs.PathError{Op: "setns", Path: n.path, Err: err}
	}
	defer r.route.Close() // it is of this namespace
	n.links, err = r.route.Links(n.links)
	return err
}

// onSpareThread starts f on a thread that ends with it. It is never the process'
// first thread: the namespaces of that one are what /proc/self shows to all.
func onSpareThread(f func()) {
	go func() {
		runtime.LockOSThread() // and never unlocked: so the thread ends
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		over := make(chan struct{})
		go func() { // elsewhere, as long as the first thread is held here
			defer close(over)
			runtime.LockOSThread()
			f()
		}()
		<-over
		runtime.UnlockOSThread()
	}()
}
