//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/collectors"
	"watchpost/internal/testkit"
)

// everything are the flags that turn on every collector.
func everything() []string {
	var flags []string
	for _, c := range collectors.List() {
		flags = append(flags, "--collector."+c.Name)
	}
	return flags
}

// within scrapes with a timeout that the program is told, as Prometheus does, and
// that the client holds to.
func (a *nodeAgent) within(timeout time.Duration) parsed {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.url, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Accept", acceptText)
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	res, err := (&http.Client{Timeout: timeout}).Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		a.t.Fatalf("%s, %v", res.Status, err)
	}
	return parse(a.t, answer{res.StatusCode, res.Header.Get("Content-Type"), "", string(body)})
}

// steady is what a few scrapes have in common: the families that are always there
// and the collectors that always succeed.
type steady struct {
	families   map[string]bool
	collectors map[string]bool
}

func (a *nodeAgent) steady(scrapes int) steady {
	a.t.Helper()
	var s steady
	for i := range scrapes {
		p := a.within(time.Minute)
		families, succeeded := make(map[string]bool), make(map[string]bool)
		for f := range p.types {
			families[f] = i == 0 || s.families[f]
		}
		for c, v := range p.succeeded() {
			succeeded[c] = v == 1 && (i == 0 || s.collectors[c])
		}
		s = steady{families, succeeded}
	}
	return s
}

// missing is what a scrape lacks of what is always there.
func (s steady) missing(p parsed) []string {
	var lost []string
	for f, always := range s.families {
		if _, ok := p.types[f]; always && !ok {
			lost = append(lost, f)
		}
	}
	success := p.succeeded()
	for c, always := range s.collectors {
		if v, ok := success[c]; always && (!ok || v != 1) {
			lost = append(lost, "the success of "+c)
		}
	}
	slices.Sort(lost)
	return lost
}

// counts are how many goroutines and threads the program has.
func (a *nodeAgent) counts(p parsed) (goroutines, threads int) {
	a.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nThreads:")
	line, _, _ := strings.Cut(rest, "\n")
	if threads, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		a.t.Fatal(err)
	}
	return int(p.series[`{__name__="go_goroutines"}`]), threads
}

// Two FUSE mounts, one of them in two places, do not answer for 100 scrapes: each
// scrape is there in time with all else, nothing piles up, and the series are back
// as soon as the mounts answer again. Every collector is on.
func TestNodeAgentStuckMounts(t *testing.T) {
	beside(t)
	testkit.World(t, testNodeAgentStuckMounts)
}

func testNodeAgentStuckMounts(t *testing.T) {
	const (
		scrapes = 100
		timeout = 5 * time.Second
	)
	dir := t.TempDir()
	var servers []*testkit.FUSE
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "again")}
	for i, p := range paths {
		if err := os.Mkdir(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			servers = append(servers, testkit.MountFUSE(t, p))
		}
	}
	if err := unix.Mount(paths[0], paths[2], "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(paths[2], unix.MNT_DETACH)
	a := startNodeAgent(t, append(everything(), "--collector.filesystem.duplicates")...)
	always := a.steady(20)
	sizes := func(p parsed) (n int) {
		for _, path := range paths {
			for s, v := range p.series {
				if strings.HasPrefix(s, `{__name__="node_filesystem_size_bytes"`) && strings.Contains(s, `mountpoint="`+path+`"`) && v == 1000*4096 {
					n++
				}
			}
		}
		return n
	}
	p := a.within(timeout)
	if n := sizes(p); n != len(paths) {
		t.Fatalf("%d of %d mounts are told of", n, len(paths))
	}
	goroutines, threads := a.counts(p)

	for _, s := range servers {
		s.Hang(true)
	}
	var mostGoroutines, mostThreads int
	for i := range scrapes {
		p := a.within(timeout)
		if lost := always.missing(p); len(lost) > 0 {
			t.Fatalf("scrape %d while the mounts hang is without %q", i, lost)
		}
		errors := 0
		for s, v := range p.series {
			if strings.HasPrefix(s, `{__name__="node_filesystem_device_error"`) && strings.Contains(s, `device="never"`) && v == 1 {
				errors++
			}
		}
		if n := sizes(p); n != 0 || errors != len(paths) {
			t.Fatalf("scrape %d tells the size of %d mounts that hang, and the error of %d", i, n, errors)
		}
		g, th := a.counts(p)
		mostGoroutines, mostThreads = max(mostGoroutines, g), max(mostThreads, th)
	}
	t.Logf("%d goroutines and %d threads before; at most %d and %d in %d scrapes with %d file systems stuck",
		goroutines, threads, mostGoroutines, mostThreads, scrapes, len(servers))
	if mostGoroutines > goroutines+len(servers) || mostThreads > threads+len(servers) {
		t.Error("more than one for each file system that is stuck")
	}
	for _, s := range servers {
		if n := s.Asked(); n > 30 { // once a scrape, and once when it hung
			t.Errorf("a file system was asked %d times, though it hung", n)
		}
		s.Hang(false)
	}
	for range 100 {
		if p = a.within(timeout); sizes(p) == len(paths) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := sizes(p); n != len(paths) {
		t.Errorf("%d of %d mounts are told of, though all answer again", n, len(paths))
	}
	if lost := always.missing(p); len(lost) > 0 {
		t.Errorf("without %q afterwards", lost)
	}
}

// warning is a line of the log that tells of something wrong.
var warning = regexp.MustCompile(`(?m)^.*level=(WARN|ERROR).*$`)

// Pairs of veth interfaces and loop devices come and go during 60 scrapes with
// every collector on: no family is ever missing, no collector fails, and the log
// tells of nothing but, at most, a device that vanished.
func TestNodeAgentChurn(t *testing.T) {
	beside(t)
	testkit.World(t, testNodeAgentChurn)
}

func testNodeAgentChurn(t *testing.T) {
	const scrapes = 60
	dir := t.TempDir()
	if err := testkit.AddVeth("stays0", "stays1"); err != nil {
		t.Skip(err)
	}
	stays, err := testkit.NewLoop(filepath.Join(dir, "stays"))
	if err != nil {
		t.Skip(err)
	}
	defer stays.Remove()
	a := startNodeAgent(t, append(everything(), "--collector.diskstats.device-exclude=")...)
	always := a.steady(5)
	told := len(a.said.String())

	stop := make(chan struct{})
	var all sync.WaitGroup
	var pairs, loops atomic.Int64
	churn := func(count *atomic.Int64, once func() error) {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := once(); err != nil {
					t.Error(err)
					return
				}
				count.Add(1)
			}
		})
	}
	churn(&pairs, func() error {
		for i := range 4 {
			if err := testkit.AddVeth(fmt.Sprint("goes", i), fmt.Sprint("peer", i)); err != nil {
				return err
			}
		}
		for i := range 4 {
			if err := testkit.DeleteLink(fmt.Sprint("goes", i)); err != nil {
				return err
			}
		}
		return nil
	})
	var names sync.Map
	churn(&loops, func() error {
		for i := range 2 {
			l, err := testkit.NewLoop(filepath.Join(dir, fmt.Sprint("goes", i)))
			if err != nil {
				return err
			}
			names.Store(l.Name, true)
			defer func() {
				if err := l.Remove(); err != nil {
					t.Error(err)
				}
			}()
		}
		return nil
	})
	vanishing := func(s string) (veth, loop bool) {
		veth = strings.Contains(s, `"goes`) || strings.Contains(s, `"peer`)
		names.Range(func(name, _ any) bool {
			loop = loop || strings.Contains(s, `"`+name.(string)+`"`)
			return !loop
		})
		return veth, loop
	}
	seenVeth, seenLoop := 0, 0
	for i := range scrapes {
		p := a.within(time.Minute)
		if lost := always.missing(p); len(lost) > 0 {
			t.Errorf("scrape %d is without %q", i, lost)
		}
		veth, loop := false, false
		for s := range p.series {
			v, l := vanishing(s)
			veth, loop = veth || v, loop || l
		}
		if veth {
			seenVeth++
		}
		if loop {
			seenLoop++
		}
		if _, ok := p.series[`{__name__="node_network_mtu_bytes", device="stays0"}`]; !ok {
			t.Errorf("scrape %d is without an interface that stays", i)
		}
		if _, ok := p.series[`{__name__="node_disk_reads_completed_total", device="`+stays.Name+`"}`]; !ok {
			t.Errorf("scrape %d is without a loop device that stays", i)
		}
	}
	close(stop)
	all.Wait()
	for _, line := range warning.FindAllString(a.said.String()[told:], -1) {
		t.Errorf("the log says: %s", line)
	}
	t.Logf("%d times 4 pairs of interfaces and %d times 2 loop devices came and went; %d and %d of %d scrapes saw some",
		pairs.Load(), loops.Load(), seenVeth, seenLoop, scrapes)
	if seenVeth == 0 || seenLoop == 0 || pairs.Load() == 0 || loops.Load() == 0 {
		t.Error("no scrape saw a device that comes and goes")
	}
}
