package promstack

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// diskFullInside is set for the test that runs in a namespace of its own.
const diskFullInside = "WATCHPOST_TEST_DISK_FULL"

// On a disk on which somebody else takes every block that becomes free, scraping goes
// on, queries show it, and when there is space again no sample is missing. Finished
// chunks of the memory, which the TSDB writes at each look, do not end the program.
func TestDiskFull(t *testing.T) {
	if os.Getenv(diskFullInside) != "" {
		diskFullTest(t)
		return
	}
	t.Parallel()
	self := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	self.Env = append(os.Environ(), diskFullInside+"=1")
	self.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	said, err := self.CombinedOutput()
	switch {
	case self.ProcessState == nil:
		t.Skip("no namespaces can be made here: ", err)
	case strings.Contains(string(said), "--- SKIP"):
		t.Skipf("%s", said)
	case err != nil:
		t.Errorf("%v\n%s", err, said)
	}
}

// greedy takes all space of a disk, again and again, until it is told to stop.
type greedy struct {
	t    *testing.T
	name string
	end  atomic.Bool
	over chan struct{}
}

func (g *greedy) run() {
	defer close(g.over)
	f, err := os.Create(g.name)
	if err != nil {
		g.t.Error(err)
		return
	}
	defer f.Close()
	for !g.end.Load() {
		for block := make([]byte, 1<<20); len(block) > 0; {
			if n, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
				block = block[:min(len(block)/2, len(block)-n)]
			} else if err != nil {
				g.t.Error(err)
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func (g *greedy) stop() {
	g.end.Store(true)
	<-g.over
	os.Remove(g.name)
}

func diskFullTest(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	const every = 50 * time.Millisecond
	// Chunks of 120 samples are finished at 6 and 12 s and written at 5, 10 and 15 s: when
	// the disk is full, just after 12 s, some wait for that.
	var scrapes atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		scrapes.Add(1)
		for i := range 300 {
			fmt.Fprintf(w, "answer{n=\"%d\"} %d\n", i, time.Now().UnixNano()*int64(i+7)%1_000_003)
		}
	}))
	defer s.Close()
	data := filepath.Join(disk, "data")
	cfg, log := testConfig(t, data, fmt.Sprintf(
		"global: {scrape_interval: %s}\nscrape_configs: [{job_name: a, static_configs: [{targets: [%q]}]}]\n", every, strings.TrimPrefix(s.URL, "http://")))
	cfg.Storage.LookEach = 5 * time.Second
	e := start(t, cfg, log)

	// stored is how many scrapes there were, how many samples of one series they brought,
	// and how many of them are missing: each scrape leaves an up, and where that is 1 a
	// sample. Whatever holds up a busy machine does so before a scrape asks.
	stored := func(e *engine) (samples int, err error) {
		asked := int(scrapes.Load())
		var n [3]int
		for i, expr := range []string{"count_over_time(up[20m])", "sum_over_time(up[20m])", `count_over_time(answer{n="299"}[20m])`} {
			got, err := e.query(expr, time.Now())
			if err != nil {
				return 0, err
			}
			n[i], _ = strconv.Atoi(got["a"])
		}
		if n[0] < asked-2 || n[2] < n[1] {
			err = fmt.Errorf("of %d scrapes %d are stored, %d of which were good, with %d samples", asked, n[0], n[1], n[2])
		}
		return n[2], err
	}
	fresh := func(what string, n int) {
		t.Helper()
		was, _ := stored(e)
		eventually(t, func() error {
			is, err := stored(e)
			if err == nil && is < was+n {
				err = fmt.Errorf("%s: %d samples, were %d", what, is, was)
			}
			return err
		})
	}
	fresh("at first", 245)
	somebody := &greedy{t: t, name: filepath.Join(disk, "somebody-elses"), over: make(chan struct{})}
	go somebody.run()
	eventually(t, func() error {
		if e.metric("watchpost_storage_disk_full") != 1 || e.metric("watchpost_storage_memory_samples") < 300*20 {
			return errors.New("the metrics tell nothing of a full disk")
		}
		return nil
	})
	fresh("on a full disk", 125) // and more chunks are finished meanwhile
	for _, want := range []string{inMemory, diskFull} {
		if w := e.get("/notifications", nil); !strings.Contains(w.Body.String(), want[:30]) {
			t.Errorf("the API does not tell %q: %s", want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	e.PageHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/storage", nil))
	if !strings.Contains(w.Body.String(), `"inMemory":`) {
		t.Errorf("the page is told %s", w.Body)
	}
	if !strings.Contains(log.String(), "samples stay in memory") {
		t.Error("no word of it in the log")
	}
	somebody.stop()
	eventually(t, func() error {
		if n := e.metric("watchpost_storage_memory_samples"); n != 0 {
			return fmt.Errorf("%g samples are in memory alone", n)
		}
		if e.metric("watchpost_storage_disk_full") != 0 {
			return errors.New("the disk still counts as full")
		}
		return nil
	})
	fresh("with space again", 20)
	if n := len(e.notes.Get()); n != 0 {
		t.Errorf("the API still tells %v", e.notes.Get())
	}

	// After a kill all of it is there.
	was, err := stored(e)
	if err != nil {
		t.Error(err)
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(copied, "lock"))
	cfg.Storage.Dir, cfg.Registry = copied, nil
	writeFile(t, e.file, jobs(nil))
	again := start(t, cfg, log)
	if is, _ := stored(again); is < was {
		t.Errorf("after a kill: %d samples, were %d", is, was)
	}
}
