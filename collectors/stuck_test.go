package collectors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/testkit"
)

// TestStuckAndChurning is for the race detector: several scrape at the same time,
// in both formats, all collectors and some, while a file system does not answer
// statfs, the folder of the text files does not open, a FIFO lies where a file is
// expected, and interfaces and loop devices come and go. Each scrape has what it
// had before.
func TestStuckAndChurning(t *testing.T) { testkit.World(t, testStuckAndChurning) }

func testStuckAndChurning(t *testing.T) {
	const (
		scrapers = 4
		scrapes  = 8
		deadline = 5 * time.Second
	)
	dir := t.TempDir()
	var servers []*testkit.FUSE
	for _, name := range []string{"disk", "textfile"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, testkit.MountFUSE(t, path))
	}
	service := filepath.Join(dir, "service", "web", "supervise")
	if err := os.MkdirAll(service, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(service, "status"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := testkit.AddVeth("stays0", "stays1"); err != nil {
		t.Skip(err)
	}

	cfg := on(hostfs.Default)
	cfg.Textfile.Directories = []string{filepath.Join(dir, "textfile")}
	cfg.Runit.ServiceDir = filepath.Join(dir, "service")
	cfg.Diskstats.DeviceExclude = ""
	cfg.Filesystem.MountTimeout = 200 * time.Millisecond
	var names []string
	for _, r := range table {
		names = append(names, r.name)
	}
	set, err := NewSet(cfg, names, expo.Labels{})
	if err != nil {
		t.Fatal(err)
	}
	scrape := func(r Request) (map[string]bool, map[string]bool) {
		r.Deadline = deadline
		res, err := set.Scrape(t.Context(), r)
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		defer res.Release()
		families, succeeded := make(map[string]bool), make(map[string]bool)
		for part := range res.Segments {
			sc := expo.NewScanner(part)
			for sc.Next() {
				l := sc.Line()
				if l.Kind == expo.TypeLine {
					families[string(l.Name)] = true
				}
				if string(l.Name) == scrapeSuccess.Name() && l.Kind == expo.Sample {
					if v, err := l.Float(); err == nil && v == 1 {
						name, _ := l.Label("collector")
						succeeded[name] = true
					}
				}
			}
			if err := sc.Err(); err != nil {
				t.Error(err)
			}
		}
		return families, succeeded
	}
	requests := []Request{
		{}, {Format: expo.OpenMetrics}, {Except: []string{"cpu"}}, {Only: []string{"netdev", "netclass", "diskstats", "filesystem", "textfile", "runit"}},
	}
	type outcome struct{ families, succeeded map[string]bool }
	before := make([]outcome, len(requests))
	for i, r := range requests {
		for n := range 3 {
			families, succeeded := scrape(r)
			if n > 0 { // what is there each time
				maps.DeleteFunc(families, func(f string, _ bool) bool { return !before[i].families[f] })
				maps.DeleteFunc(succeeded, func(f string, _ bool) bool { return !before[i].succeeded[f] })
			}
			before[i] = outcome{families, succeeded}
		}
		if !before[i].succeeded["textfile"] || !before[i].succeeded["filesystem"] {
			t.Fatalf("request %d: %v", i, before[i].succeeded)
		}
	}

	for _, s := range servers {
		s.Hang(true)
	}
	stop := make(chan struct{})
	var churn, all sync.WaitGroup
	for _, once := range []func() error{
		func() error {
			return errors.Join(testkit.AddVeth("goes0", "goes1"), testkit.DeleteLink("goes0"))
		},
		func() error {
			l, err := testkit.NewLoop(filepath.Join(dir, "loop"))
			if err != nil {
				t.Log(err) // no loop devices here: without them
				<-stop
				return nil
			}
			return l.Remove()
		},
	} {
		churn.Go(func() {
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
			}
		})
	}
	var late atomic.Int64
	for i := range scrapers {
		all.Go(func() {
			for n := range scrapes {
				families, succeeded := scrape(requests[(i+n)%len(requests)])
				want := before[(i+n)%len(requests)]
				var lost []string
				for f := range want.families {
					if !families[f] && !strings.HasPrefix(f, "node_textfile_") {
						lost = append(lost, f)
					}
				}
				for c := range want.succeeded {
					if !succeeded[c] && c != "textfile" {
						lost = append(lost, "the success of "+c)
					}
				}
				if len(lost) > 0 {
					slices.Sort(lost)
					t.Errorf("scraper %d, scrape %d: without %q", i, n, lost)
				}
				if !succeeded["textfile"] {
					late.Add(1)
				}
			}
		})
	}
	all.Wait()
	if late.Load() == 0 {
		t.Error("nothing was stuck")
	}
	stuck := runtime.NumGoroutine()
	close(stop)
	churn.Wait()
	for _, s := range servers {
		s.Hang(false)
	}
	until(t, "the text files are back", func() bool {
		families, succeeded := scrape(Request{Only: []string{"textfile", "filesystem"}})
		return succeeded["textfile"] && families["node_textfile_scrape_error"]
	})
	t.Logf("%d goroutines while stuck, %d afterwards; %d of %d scrapes without the text files", stuck, runtime.NumGoroutine(), late.Load(), scrapers*scrapes)
	if most := 2*len(servers) + 2*scrapers + 20; stuck > most {
		t.Errorf("%d goroutines, more than %d", stuck, most)
	}
}

// Errors that say something else at each scrape would be logged at each scrape.
func TestErrorsStay(t *testing.T) {
	for _, r := range table {
		c := make1(t, r.name, DefaultConfig())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		first := fmt.Sprint(c.Collect(ctx, &expo.Writer{}))
		again := fmt.Sprint(c.Collect(ctx, &expo.Writer{}))
		cancel()
		if first != again && first != "<nil>" && again != "<nil>" {
			t.Errorf("%s: %s, then %s", r.name, first, again)
		}
	}
}
