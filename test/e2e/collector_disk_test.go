//go:build e2e

package e2e

// The collector on a disk that is full.

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
	"syscall"
	"testing"
	"time"
)

// On a disk that somebody else has filled the collector goes on scraping and
// answering and tells of it; when there is space again all is as before, and after a
// kill nothing of before or after is lost.
func TestCollectorDiskFull(t *testing.T) {
	beside(t)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 2000 { // so that what is written does not fit into what is left over
			fmt.Fprintf(w, "answer{n=\"%d\"} %d\n", i, time.Now().UnixNano())
		}
	}))
	defer target.Close()
	data := t.TempDir()
	// The disk is a folder in memory of a namespace of its own, which ends with its
	// last process; sleep keeps it from one run of the collector to the next.
	holder := exec.Command("/bin/sh", "-c", `mount -t tmpfs -o size=64m none "$0" && exec sleep 600`, data)
	holder.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := holder.Start(); err != nil {
		t.Skip("no namespaces can be made here: ", err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	disk := filepath.Join("/proc", strconv.Itoa(holder.Process.Pid), "root", data)
	eventuallyMounted(t, data, disk)

	c := newCollector(t, "--storage.tsdb.path="+disk)
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte("global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: a, static_configs: [{targets: ["+strings.TrimPrefix(target.URL, "http://")+"]}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = append(c.args, "--config.file="+file)
	c.start()
	samples := func(at string) string {
		return "sum(count_over_time(answer{n=~\"0|1999\"}[10m]" + at + "))"
	}
	grow := func(what string, n float64) {
		t.Helper()
		was := c.number(samples(""))
		c.until(what, func() error {
			if now := c.number(samples("")); now < was+n {
				return fmt.Errorf("%g samples, were %g", now, was)
			}
			return nil
		})
	}
	grow("scraping", 6)
	full := filepath.Join(disk, "somebody-elses")
	if err := fill(full); err != nil {
		t.Fatal(err)
	}
	t.Log("the disk is full")
	// What the collector gives up is taken, too.
	enough, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for more := 0; ; more++ {
			select {
			case <-enough:
				return
			case <-time.After(10 * time.Millisecond):
				if err := fill(full + strconv.Itoa(more)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	grow("scraping on a full disk", 10)
	c.until("told of", func() error {
		if !strings.Contains(c.said.String(), "samples stay in memory") {
			return errors.New("no word of it in the log")
		}
		return nil
	})
	close(enough)
	<-over
	files, err := filepath.Glob(full + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	c.until("written", func() error {
		if !strings.Contains(c.said.String(), "in memory alone are on the disk") {
			return errors.New("no word of it in the log")
		}
		return nil
	})
	grow("scraping with space again", 10)
	before := c.number(samples(""))
	if err := c.end(syscall.SIGKILL); err == nil {
		t.Fatal("a kill is no orderly end")
	}
	c.start()
	if after := c.number(samples("")); after < before-4 {
		t.Errorf("of %g samples %g are left after a kill", before, after)
	}
}

// eventuallyMounted waits until what is mounted at a folder elsewhere is seen.
func eventuallyMounted(t *testing.T, here, there string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var a, b syscall.Stat_t
		if syscall.Stat(here, &a) == nil && syscall.Stat(there, &b) == nil && a.Dev != b.Dev {
			return
		}
		if time.Now().After(end) {
			t.Skip("no file system can be mounted in a namespace here")
		}
	}
}

// fill writes a file until nothing more fits on its disk.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}
