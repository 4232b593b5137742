//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"watchpost/internal/testkubelet"
)

// Times of a node on which pods come and go.
const (
	churnTick  = 20 * time.Millisecond // a pod is created and one is deleted
	churnAlive = 150                   // pods at a time
	churnLast  = 2 * time.Second       // cgroups of deleted pods still have samples
	churnSlack = 2 * time.Second       // until a new pod's labels have to be there
	churnGrace = 5 * time.Second
	churnIPs   = 300 // addresses, which are given again
	watchPart  = 400 // events after which the API server ends a watch
)

// churn is such a node: what its API server tells of it, and its kubelet's text.
type churn struct {
	mu      sync.Mutex
	events  []string // in JSON; the resource version is their number
	born    []time.Time
	died    []time.Time // zero: alive
	watches int
}

func churnIP(i int) string { return fmt.Sprintf("10.9.%d.%d", i%churnIPs/100, i%churnIPs%100+1) }

// object is a pod in JSON; it gets its address when it runs.
func (c *churn) object(i int, running bool) map[string]any {
	type m = map[string]any
	status := m{"phase": "Pending", "hostIP": "192.0.2.1"}
	if running {
		status = m{"phase": "Running", "hostIP": "192.0.2.1", "podIP": churnIP(i), "podIPs": []m{{"ip": churnIP(i)}},
			"containerStatuses": []m{{"name": "main", "containerID": fmt.Sprintf("containerd://%064d", i)}}}
	}
	return m{
		"metadata": m{"namespace": "jobs", "name": fmt.Sprintf("job-%d", i), "uid": fmt.Sprintf("00000000-0000-4000-8000-%012d", i), "resourceVersion": strconv.Itoa(len(c.events) + 1),
			"labels": m{"app": fmt.Sprintf("app-%d", i)}},
		"spec": m{"nodeName": "n1"}, "status": status,
	}
}

func (c *churn) tell(verb string, i int, running bool) {
	text, err := json.Marshal(map[string]any{"type": verb, "object": c.object(i, running)})
	if err != nil {
		panic(err) // of strings alone
	}
	c.events = append(c.events, string(text)+"\n")
}

// step creates a pod and deletes the oldest.
func (c *churn) step() {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.born)
	c.born, c.died = append(c.born, time.Now()), append(c.died, time.Time{})
	c.tell("ADDED", i, false)
	c.tell("MODIFIED", i, true)
	if old := i - churnAlive; old >= 0 {
		c.died[old] = time.Now()
		c.tell("DELETED", old, true)
	}
}

// text is the kubelet's: of pods that live, and of those that did a moment ago.
func (c *churn) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, name := range []string{"container_cpu_usage_seconds_total", "container_memory_rss", "container_memory_working_set_bytes"} {
		fmt.Fprintf(&b, "# TYPE %s gauge\n", name)
		for i := range c.born {
			if c.died[i].IsZero() || time.Since(c.died[i]) < churnLast {
				fmt.Fprintf(&b, "%s{container=\"main\",id=\"/kubepods/pod%d\",namespace=\"jobs\",pod=\"job-%d\"} %d\n", name, i, i, i)
			}
		}
	}
	return b.String()
}

// serve is the API server's list and watch.
func (c *churn) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	if q.Get("watch") == "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		items := []map[string]any{}
		for i := range c.born {
			if c.died[i].IsZero() {
				items = append(items, c.object(i, true))
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"kind": "PodList", "metadata": map[string]any{"resourceVersion": strconv.Itoa(len(c.events))}, "items": items})
		return
	}
	at, err := strconv.Atoi(q.Get("resourceVersion"))
	if err != nil || q.Get("fieldSelector") != "spec.nodeName=n1" {
		http.Error(w, "a watch of this node from a version is wanted", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.watches++
	c.mu.Unlock()
	for end := at + watchPart; at < end && r.Context().Err() == nil; time.Sleep(churnTick / 4) {
		c.mu.Lock()
		news := c.events[at:]
		c.mu.Unlock()
		for _, event := range news {
			if _, err := w.Write([]byte(event)); err != nil {
				return
			}
		}
		at += len(news)
		w.(http.Flusher).Flush()
	}
}

// Pods come and go, 50 a second, for 10 s or WATCHPOST_CHURN=10m, while the proxy is
// scraped: what a series says of its pod is right, also of one that is deleted and of
// an address that is given again, and memory is bounded.
func TestCadvisorProxyChurn(t *testing.T) {
	beside(t)
	c := new(churn)
	for range churnAlive {
		c.step()
	}
	k, api := testkubelet.Start(t), testkubelet.Start(t)
	k.Page("/metrics/cadvisor", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(c.text()))
	})
	api.Page("/api/v1/pods", c.serve)
	cmd, url, stop := startProxy(t, kubeletFlags(k, "--pods.from=watch", "--pod-labels=app", "--pods.grace="+churnGrace.String(),
		"--apiserver="+api.URL, "--apiserver.ca-file="+api.CAFile, "--apiserver.token-file="+api.TokenFile)...)
	eventually(t, "ready", func() error {
		if got := get(t, http.DefaultClient, url+"/readyz"); got.status != 200 {
			return fmt.Errorf("%s", got.body)
		}
		return nil
	})
	begun, ended := time.Now(), make(chan struct{})
	lasts := duration(t, "WATCHPOST_CHURN", 10*time.Second)
	go func() {
		defer close(ended)
		for i := 1; time.Since(begun) < lasts; i++ {
			c.step()
			time.Sleep(time.Until(begun.Add(time.Duration(i) * churnTick))) // what was late is made up for
		}
	}()
	scrapes, labelled, ofDeleted := 0, 0, 0
	for running := true; running; {
		select {
		case <-ended:
			running = false // and once more
		case <-time.After(200 * time.Millisecond):
		}
		asked := time.Now()
		got := get(t, http.DefaultClient, url+"/metrics")
		scrapes++
		for line := range strings.Lines(got.body) {
			_, rest, found := strings.Cut(line, `,pod="job-`)
			if !found {
				continue
			}
			number, rest, _ := strings.Cut(rest, `"`)
			i, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(line)
			}
			c.mu.Lock()
			born, died := c.born[i], c.died[i]
			c.mu.Unlock()
			switch {
			case strings.Contains(rest, fmt.Sprintf(`pod_ip="%s",label_app="app-%d"}`, churnIP(i), i)):
				labelled++
				if !died.IsZero() && died.Before(asked) {
					ofDeleted++
				}
			case strings.Contains(rest, "pod_ip="):
				t.Fatalf("another pod's address, not %s: %s", churnIP(i), line)
			case asked.Sub(born) > churnSlack:
				t.Fatalf("no labels %s after it was created, deleted %v: %s", asked.Sub(born), died, line)
			}
		}
		parse(t, got)
	}
	c.mu.Lock()
	pods, watches := len(c.born), c.watches
	c.mu.Unlock()
	if want := int(lasts / churnTick * 9 / 10); pods-churnAlive < want || labelled == 0 || ofDeleted == 0 || watches < 2 {
		t.Errorf("%d pods came, want %d; %d series with labels, %d of them of deleted pods; %d watches", pods-churnAlive, want, labelled, ofDeleted, watches)
	}
	// An address is its last owner's.
	eventually(t, "the newest pod is known", func() error {
		if got := get(t, http.DefaultClient, url+"/lookup?ip="+churnIP(pods-1)); !strings.Contains(got.body, fmt.Sprintf(`"job-%d"`, pods-1)) || strings.Contains(got.body, fmt.Sprintf(`"job-%d"`, pods-1-churnIPs)) {
			return fmt.Errorf("%s", got.body)
		}
		return nil
	})
	got := get(t, http.DefaultClient, url+"/metrics/self")
	known := parse(t, got).series[`{__name__="watchpost_proxy_pods", node="n1"}`]
	const forget = 15 * time.Second // how often those whose time is over are looked for
	if most := float64(churnAlive + int((churnGrace+forget+churnSlack)/churnTick)); known < churnAlive || known > most {
		t.Errorf("%v pods are known, want %d to %v", known, churnAlive, most)
	}
	peak := memoryKB(t, cmd.Process.Pid, "VmHWM")
	t.Logf("%d pods came, %d scrapes, %d series with labels, %d of deleted pods, %d watches, %v pods known; VmHWM %d kB", pods-churnAlive, scrapes, labelled, ofDeleted, watches, known, peak)
	if peak > 25<<10 {
		t.Errorf("VmHWM %d kB", peak)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
