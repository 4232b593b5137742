//go:build e2e

package e2e

// What is lost without each grant: the program is installed once more, in a namespace of its own, without that grant alone,
// and what it tells is compared with what another copy tells that has all of them.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/deploy/grants"
	"watchpost/internal/testcluster"
	"watchpost/internal/testkube"
)

// Times of a comparison.
const (
	// copySettled is how long a copy runs at least before it is compared: all have listed and scraped by then.
	copySettled = 8 * time.Second
	// copyHeld is how long what is lost must stay what it is.
	copyHeld = 3 * time.Second
	// mostCopies run at once.
	mostCopies = 10
)

// allOfIt is lost where nothing is told.
const allOfIt = "everything"

// oldSamples are what a collector has stored before it was started again.
const oldSamples = "samples from before the restart"

// removal is a line of the table, or several of one section whose grants are taken away together.
type removal struct {
	section string
	what    []string
	lost    []string
}

// removals are those of lines: one each, but that all of which nothing is lost go together, which tells as much, and so do
// rights to watch of which only is lost that their own resource stays up to date.
func removals(section string, lines []grants.Line, lost func(grants.Line) ([]string, bool)) (all []removal) {
	nothing, watches := removal{section: section}, removal{section: section}
	for _, l := range lines {
		patterns, _ := lost(l)
		of, _, _ := strings.Cut(strings.TrimPrefix(l.Granted, "watch "), ".")
		switch {
		case len(patterns) == 0:
			nothing.what = append(nothing.what, l.Granted)
		case len(patterns) == 1 && patterns[0] == of+" up to date":
			watches.what, watches.lost = append(watches.what, l.Granted), append(watches.lost, patterns...)
		default:
			all = append(all, removal{section, []string{l.Granted}, patterns})
		}
	}
	return append(all, slices.DeleteFunc([]removal{nothing, watches}, func(r removal) bool { return len(r.what) == 0 })...)
}

// testRemoved takes each grant away alone, and what is lost is what the table says.
func (s *suite) testRemoved() {
	if os.Getenv("WATCHPOST_CLUSTER") != "long" {
		s.t.Skip("takes some minutes: WATCHPOST_CLUSTER=long")
	}
	only, err := regexp.Compile(os.Getenv("WATCHPOST_PRIVILEGE")) // of a section and what is granted
	if err != nil {
		s.t.Fatal(err)
	}
	s.applyFolder("testdata/privileges")
	began := time.Now()
	r := &remover{suite: s, tables: s.tables(), only: only, places: make(chan struct{}, mostCopies)}
	r.read()
	r.removeAll("lists are streamed", func(l grants.Line) ([]string, bool) { return l.Lost, !onSpecialNodes(l.Granted) })
	r.onTainted()
	r.onFull()
	s.API.AddArgs("--feature-gates=WatchList=false")
	if err := s.API.Restart(); err != nil {
		s.t.Fatal(err)
	}
	r.removeAll("lists are not streamed", func(l grants.Line) ([]string, bool) { return l.LostUnstreamed, !l.Same })
	s.t.Logf("%d grants taken away after %s", r.done, time.Since(began).Round(time.Second))
}

// remover makes the copies.
type remover struct {
	*suite
	tables    map[string][]grants.Line
	only      *regexp.Regexp
	manifests map[string][]*unstructured.Unstructured // by section of the table
	places    chan struct{}

	mu         sync.Mutex
	made, done int
}

// read reads the manifests of all sections.
func (r *remover) read() {
	r.t.Helper()
	r.manifests = make(map[string][]*unstructured.Unstructured)
	for section := range r.tables {
		_, component, _ := strings.Cut(section, " ")
		if component == "" {
			r.manifests[section] = plain(r.suite.manifests)
			continue
		}
		cmd := exec.Command("go", "run", "-C", "../../deploy/test", "./render/main", component)
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			r.t.Fatalf("%v: %v", cmd.Args, err)
		}
		r.manifests[section] = plain(manifestsOf(r.t, text))
	}
}

// lines are those of a section that were asked for.
func (r *remover) lines(section string, wanted func(grants.Line) bool) (lines []grants.Line) {
	for _, l := range r.tables[section] {
		if r.only.MatchString(section+": "+l.Granted) && wanted(l) {
			lines = append(lines, l)
		}
	}
	return lines
}

// removeAll takes the grants of all lines away of which lost tells what is lost.
func (r *remover) removeAll(when string, lost func(grants.Line) ([]string, bool)) {
	var all sync.WaitGroup
	for _, section := range slices.Sorted(maps.Keys(r.tables)) {
		lines := r.lines(section, func(l grants.Line) bool { _, of := lost(l); return of })
		if len(lines) == 0 {
			continue
		}
		all.Go(func() {
			whole := r.copy(section, r.manifests[section])
			defer whole.end()
			whole.restarts = slices.ContainsFunc(lines, func(l grants.Line) bool { return slices.Contains(l.Lost, oldSamples) })
			if err := whole.waitWhole(); err != nil {
				r.t.Errorf("%s: %s with all its grants: %v", when, section, err)
				return
			}
			var each sync.WaitGroup
			for _, of := range removals(section, lines, lost) {
				r.places <- struct{}{}
				each.Go(func() {
					defer func() { <-r.places }()
					r.remove(when, of, whole)
				})
			}
			each.Wait()
		})
	}
	all.Wait()
}

// remove takes grants away.
func (r *remover) remove(when string, of removal, whole *copied) {
	program, _, _ := strings.Cut(of.section, " ")
	manifests := r.manifests[of.section]
	for _, what := range of.what {
		all, err := grants.Of(manifests)
		if err != nil {
			r.t.Error(err)
			return
		}
		i := slices.IndexFunc(all, func(g grants.Grant) bool { return g.Program == program && g.What == what })
		if i < 0 {
			r.t.Errorf("%s: %q is not granted to %s", privilegesFile, what, of.section)
			return
		}
		manifests = all[i].Without(manifests)
	}
	c := r.copy(of.section, manifests)
	defer c.end()
	c.restarts = slices.Contains(of.lost, oldSamples)
	lost, problem := c.compare(whole, of.lost)
	r.mu.Lock()
	r.done += len(of.what)
	r.mu.Unlock()
	r.t.Logf("%s, %s without %q: lost %.300q", when, of.section, of.what, lost)
	if problem != nil {
		r.t.Errorf("%s, %s without %q: %v", when, of.section, of.what, problem)
	}
}

// copied is a program that is installed once more.
type copied struct {
	r                *remover
	section, program string
	name             string // of its namespace
	port             int    // of node-agent, which may be on the host's network
	applied          time.Time
	problem          error // it could not be

	restarts, killed bool   // it is ended once, to see what is left of what it had
	mounted          string // what was mounted for node-agent

	mu     sync.Mutex
	looks  []map[string]bool // what it told at the last looks that were answered, one way or another
	told   map[string]bool   // what it has told at all
	steady time.Time         // when it told of something new last
	stop   func()
}

// kinds of which a copy has its own. Nobody finds it by a service.
var copiedKinds = []string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "DaemonSet", "Deployment", "StatefulSet"}

// copy installs a program of manifests once more.
func (r *remover) copy(section string, manifests []*unstructured.Unstructured) *copied {
	program, _, _ := strings.Cut(section, " ")
	r.mu.Lock()
	r.made++
	c := &copied{r: r, section: section, program: program, name: "copy-" + strconv.Itoa(r.made), port: 20000 + r.made, applied: time.Now(), told: make(map[string]bool)}
	r.mu.Unlock()
	var objects []testkube.Object
	for _, o := range manifests {
		home := o.GetKind() == "Namespace" && o.GetName() == namespaces[program]
		if !home && (grants.ProgramOf(o) != program || !slices.Contains(copiedKinds, o.GetKind())) {
			continue
		}
		if o, c.problem = c.change(o); c.problem != nil {
			return c
		}
		objects = append(objects, testkube.Object{Unstructured: o, File: "copy"})
	}
	if strings.HasSuffix(section, "remote-write") {
		objects = append(objects, testkube.Object{File: "copy", Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "collector-remote-write", "namespace": c.name},
			"stringData": map[string]any{"password": confidential}}}})
	}
	if program == "collector" {
		c.r.volume(c.name)
		c.r.volume(c.name + "-more") // of shards there are two
	}
	c.problem = r.API.Apply(r.t.Context(), objects)
	return c
}

// change is an object for the copy: in its namespace, with names of its own where it is in none, by labels that neither a
// service nor the collector knows.
func (c *copied) change(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte(`"namespace":"`+namespaces[c.program]+`"`), []byte(`"namespace":"`+c.name+`"`))
	text = bytes.ReplaceAll(text, []byte(`"app.kubernetes.io/name":"`+c.program+`"`), []byte(`"app.kubernetes.io/name":"copy"`))
	hurry := fmt.Sprintf("scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: 1s", clusterInterval)
	text = bytes.ReplaceAll(text, []byte(hurry), []byte("scrape_interval: 10s, scrape_timeout: 10s, evaluation_interval: 15s")) // there are many at once
	o = &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	switch o.GetKind() {
	case "Namespace":
		o.SetName(c.name)
	case "ClusterRole":
		o.SetName(c.name + "-" + o.GetName())
	case "ClusterRoleBinding":
		o.SetName(c.name + "-" + o.GetName())
		role, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		return o, unstructured.SetNestedField(o.Object, c.name+"-"+role, "roleRef", "name")
	case "DaemonSet", "Deployment", "StatefulSet":
		first := firstContainer(o)
		first["resources"] = map[string]any{"requests": map[string]any{"cpu": "1m", "memory": "1Mi"}} // so that all find room on one node
		if c.program == "node-agent" {
			first["args"] = append(first["args"].([]any), fmt.Sprintf("--web.listen-address=:%d", c.port))
			first["ports"] = []any{map[string]any{"name": "metrics", "containerPort": int64(c.port), "protocol": "TCP"}}
		}
		return o, unstructured.SetNestedField(o.Object, int64(5), "spec", "template", "spec", "terminationGracePeriodSeconds")
	}
	return o, nil
}

// end removes the copy.
func (c *copied) end() {
	if c.stop != nil {
		c.stop()
	}
	if c.mounted != "" {
		if _, err := c.r.Exec("umount", c.mounted); err != nil {
			c.r.t.Error(err)
		}
	}
	ctx := context.WithoutCancel(c.r.t.Context())
	if err := c.r.Client().CoreV1().Namespaces().Delete(ctx, c.name, metav1.DeleteOptions{}); err != nil {
		c.r.t.Error(err)
	}
}

// mostLooks are remembered: what other copies do shows for a moment in some pages, and not in all at the same.
const mostLooks = 3

// surely is what the copy told at each of the last looks, perhaps what it told at one of them.
func (c *copied) surely() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	things := make(map[string]bool)
	for i, look := range c.looks {
		if i == 0 {
			maps.Copy(things, look)
		}
		maps.DeleteFunc(things, func(thing string, _ bool) bool { return !look[thing] })
	}
	return things
}

func (c *copied) perhaps() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	things := make(map[string]bool)
	for _, look := range c.looks {
		maps.Copy(things, look)
	}
	return things
}

// look asks the copy what it tells, and returns whether it has run for long enough to be compared. The error is why it tells
// nothing. No answer in time is none at all: the machine is busy.
func (c *copied) look() (ready bool, err error) {
	things, ready, err := c.ask()
	var late interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout() {
		return false, err
	}
	if err != nil {
		things = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looks = append(c.looks, things); len(c.looks) > mostLooks {
		c.looks = c.looks[1:]
	}
	for thing := range things {
		if !c.told[thing] {
			c.told[thing], c.steady = true, time.Now()
		}
	}
	return ready && len(c.looks) == mostLooks, err
}

// ask is look without memory.
func (c *copied) ask() (things map[string]bool, ready bool, err error) {
	if c.problem != nil {
		return nil, false, c.problem
	}
	ctx, cancel := context.WithTimeout(c.r.t.Context(), 20*time.Second)
	defer cancel()
	pods, err := c.r.Client().CoreV1().Pods(c.name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, false, err
	}
	waited := time.Since(c.applied) > 2*copySettled
	if len(pods.Items) == 0 {
		return nil, waited, errors.New("it has no pod")
	}
	pod := pods.Items[0]
	if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Running == nil {
		return nil, waited, fmt.Errorf("its pod does not run: %s %+v", pod.Status.Phase, pod.Status.Conditions)
	}
	status := pod.Status.ContainerStatuses[0]
	started := status.State.Running.StartedAt.Time
	ready = time.Since(started) > copySettled
	pids, err := c.r.Processes(status.ContainerID)
	if err != nil {
		return nil, waited, err
	}
	if c.program == "node-agent" && c.mounted == "" && time.Since(started) > time.Second {
		mount := "/run/later-" + c.name
		if _, err := c.r.Exec("sh", "-ec", fmt.Sprintf("mkdir %s; mount -t tmpfs -o size=%d later %[1]s", mount, laterSize)); err != nil {
			return nil, false, err
		}
		c.mounted = mount
	}
	things, err = c.things(ctx, pod, pids[0])
	if c.restarts && status.RestartCount == 0 {
		if things["job collector"] && !c.killed { // a sample of it is stored
			c.killed = true
			err = errors.Join(err, syscall.Kill(pids[0], syscall.SIGKILL))
		}
		ready = false
	}
	return things, ready, err
}

// waitWhole returns when the copy tells what it tells for a while, and goes on to look at it.
func (c *copied) waitWhole() error {
	ctx, cancel := context.WithCancel(c.r.t.Context())
	ended := make(chan struct{})
	c.stop = func() { cancel(); <-ended }
	var last error
	go func() {
		defer close(ended)
		for ; ctx.Err() == nil; sleep(ctx, time.Second) {
			ready, err := c.look()
			c.mu.Lock()
			if last = err; !ready {
				c.steady = time.Now()
			}
			c.mu.Unlock()
		}
	}()
	for end := time.Now().Add(clusterPatience); time.Now().Before(end); sleep(ctx, time.Second) {
		c.mu.Lock()
		done := len(c.told) > 0 && time.Since(c.steady) > copySettled
		c.mu.Unlock()
		if done {
			return nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Errorf("it does not settle: %d things, %v", len(c.told), last)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// compare waits until what is lost is what the patterns say, and stays that.
func (c *copied) compare(whole *copied, patterns []string) (lost []string, problem error) {
	problem = errors.New("nothing was seen of it")
	since := time.Now()
	for end := time.Now().Add(clusterPatience); time.Now().Before(end); sleep(c.r.t.Context(), time.Second) {
		ready, err := c.look()
		now, all := c.perhaps(), whole.surely()
		lost = lost[:0]
		for thing := range all {
			if !now[thing] && (thing != oldSamples || c.restarts) {
				lost = append(lost, thing)
			}
		}
		if len(now) == 0 {
			lost = []string{allOfIt}
		}
		slices.Sort(lost)
		switch problem = differ(lost, patterns); {
		case len(all) == 0:
			problem = errors.New("the copy with all grants tells nothing")
			since = time.Now()
		case problem != nil:
			problem = fmt.Errorf("%w (%v)", problem, err)
			since = time.Now()
		case !ready:
			problem = fmt.Errorf("it is not ready: %w", err)
			since = time.Now()
		case time.Since(since) > copyHeld:
			return lost, nil
		}
	}
	return lost, problem
}

// differ is the error of what is lost and no pattern says, and of patterns of which nothing is lost.
func differ(lost, patterns []string) error {
	var problems []error
	for _, pattern := range patterns {
		if !slices.ContainsFunc(lost, func(thing string) bool { return matches(pattern, thing) }) {
			problems = append(problems, fmt.Errorf("%s is still there", pattern))
		}
	}
	more := slices.DeleteFunc(slices.Clone(lost), func(thing string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, thing) })
	})
	if len(more) > 0 {
		problems = append(problems, fmt.Errorf("%.1000q is lost, too, of which %s says nothing", more, privilegesFile))
	}
	return errors.Join(problems...)
}

// matches tells whether a thing is what a pattern of the document means, in which * is anything.
func matches(pattern, thing string) bool {
	before, after, any := strings.Cut(pattern, "*")
	if !any {
		return pattern == thing
	}
	return strings.HasPrefix(thing, before) && strings.HasSuffix(thing, after)
}

// laterSize of what is mounted when node-agent runs, in bytes.
const laterSize = 1 << 20

// fewConnections are more than the pod of an agent has; etcd and the API server on the node have many times as many.
const fewConnections = 20

// things are what a program tells, in words to compare by: families, with the device; of the collector jobs whose targets
// are up; and for each program whether it can follow what it reads.
func (c *copied) things(ctx context.Context, pod corev1.Pod, pid int) (things map[string]bool, err error) {
	things = make(map[string]bool)
	switch address := pod.Status.PodIP; c.program {
	case "collector":
		err = c.collectorThings(ctx, net.JoinHostPort(address, "9090"), pod, things)
	case "state-agent":
		if err = families(ctx, net.JoinHostPort(address, "8080"), things, nil); err == nil {
			err = families(ctx, net.JoinHostPort(address, "8081"), nil, func(line string) {
				if m := resourceUp.FindStringSubmatch(line); m != nil {
					things[m[1]+" up to date"] = true
				}
			})
		}
	case "cadvisor-proxy":
		err = families(ctx, net.JoinHostPort(address, "9101"), things, func(line string) {
			if strings.Contains(line, `pod_ip="1`) {
				things["label pod_ip"] = true
			}
			if podsUp.MatchString(line) {
				things["pods up to date"] = true
			}
		})
	case "node-agent":
		err = families(ctx, net.JoinHostPort(address, strconv.Itoa(c.port)), things, func(line string) {
			if strings.HasPrefix(line, "node_filesystem_size_bytes{") && strings.Contains(line, `mountpoint="`+c.mounted+`"`) &&
				strings.HasSuffix(line, " "+strconv.Itoa(laterSize)+"\n") {
				things["size of what is mounted later"] = true
			}
			if n, found := strings.CutPrefix(line, "node_netstat_Tcp_CurrEstab "); found {
				if open, err := strconv.ParseFloat(strings.TrimSpace(n), 64); err == nil && open > fewConnections {
					things["connections of the host"] = true
				}
			}
		})
		if strings.HasSuffix(c.section, "node-root") {
			processThings(pid, things)
		}
	}
	if strings.Contains(c.section, "sharded") && err == nil && len(things) > 0 {
		log, problem := c.r.Client().CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err = problem; err == nil && !shardRefused.Match(log) {
			things["number of shards up to date"] = true
		}
	}
	if _, missing := os.Stat(fmt.Sprintf("/proc/%d/root/etc/collector/remote-write/password", pid)); missing == nil {
		things["file password"] = true
	}
	return things, err
}

var (
	resourceUp = regexp.MustCompile(`^watchpost_kube_up\{resource="(\w+)"\} 1`)
	podsUp     = regexp.MustCompile(`^watchpost_proxy_pods_up(\{[^}]*\})? 1\n`)
	// what kube.Client says of a StatefulSet that it cannot follow
	shardRefused = regexp.MustCompile(`Cannot list or watch; what was known stays.*statefulsets`)
	ofDevice     = regexp.MustCompile(`[{,]device="([^"]*)"`)
)

// families adds those of a program's page, and calls each with each of its lines.
func families(ctx context.Context, address string, things map[string]bool, each func(line string)) error {
	text, err := textOf(ctx, "http://"+address+"/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if each != nil {
			each(line)
		}
		if things == nil {
			continue
		}
		family := line[:max(0, strings.IndexAny(line, "{ "))]
		if strings.Contains(line, `device="`) { // few have one, and the pattern is slow
			if m := ofDevice.FindStringSubmatch(line); m != nil {
				family += " of " + m[1]
			}
		}
		things[family] = true
	}
	return nil
}

// textOf is a page, whatever its status.
func textOf(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// processThings are those that only the kernel tells of a process.
func processThings(pid int, things map[string]bool) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is right
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.Contains(to, "userfaultfd") {
			things["userfaultfd"] = true
		}
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	lazy := len(threads) > 0
	for _, thread := range threads { // its own a thread may always make lazy
		slack, err := os.ReadFile(filepath.Join("/proc", filepath.Base(thread), "timerslack_ns"))
		lazy = lazy && (err != nil || strings.TrimSpace(string(slack)) != "50000") // with which every process begins
	}
	if lazy {
		things["lazy timers"] = true
	}
}

// collectorThings are the jobs with targets that are up, the groups of rules, and what it knows from before it was started
// again.
func (c *copied) collectorThings(ctx context.Context, address string, pod corev1.Pod, things map[string]bool) error {
	status := pod.Status.ContainerStatuses[0]
	web := collector{t: c.r.t, web: address}
	started := status.State.Running.StartedAt.Unix()
	since := max(1, time.Now().Unix()-started)
	up, err := web.query(fmt.Sprintf("max_over_time(up[%ds]) == 1", since)) // what was up before it was started again it knows, too
	if err != nil {
		return err
	}
	for _, one := range up {
		things["job "+one.Metric["job"]] = true
	}
	if status.RestartCount > 0 {
		if old, err := web.query(fmt.Sprintf("min_over_time(timestamp(up{job=\"collector\"})[1h:1s]) < %d", started)); err == nil && len(old) > 0 {
			things[oldSamples] = true
		}
	}
	var rules struct {
		Data struct{ Groups []struct{ Name string } }
	}
	if err := ask(ctx, "http://"+address+"/api/v1/rules", &rules); err != nil {
		return err
	}
	for _, g := range rules.Data.Groups {
		things["rules "+g.Name] = true
	}
	return families(ctx, address, nil, func(line string) {
		if line == "prometheus_sd_kubernetes_failures_total 0\n" {
			things["discovery up to date"] = true
		}
	})
}

// onSpecialNodes tells whether a grant matters on nodes alone that are not like the one of the tests.
func onSpecialNodes(what string) bool {
	return strings.HasPrefix(what, "toleration of ") || strings.HasPrefix(what, "priority class ")
}

// special are the sections with a grant whose name begins so.
func (r *remover) special(prefix string) map[string]grants.Line {
	found := make(map[string]grants.Line)
	for section := range r.tables {
		for _, l := range r.lines(section, func(l grants.Line) bool { return strings.HasPrefix(l.Granted, prefix) }) {
			found[section] = l
		}
	}
	return found
}

// onTainted takes tolerations away while the node has a taint.
func (r *remover) onTainted() {
	sections := r.special("toleration of ")
	if len(sections) == 0 {
		return
	}
	taint := func(taints ...corev1.Taint) {
		r.t.Helper()
		node, err := r.Client().CoreV1().Nodes().Get(r.t.Context(), testcluster.NodeName, metav1.GetOptions{})
		if err == nil {
			node.Spec.Taints = taints
			_, err = r.Client().CoreV1().Nodes().Update(r.t.Context(), node, metav1.UpdateOptions{})
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	taint(corev1.Taint{Key: "example.com/odd", Value: "yes", Effect: corev1.TaintEffectNoSchedule})
	defer taint()
	r.removeSpecial("on a node with a taint", sections)
}

// removeSpecial takes away one grant of each section.
func (r *remover) removeSpecial(when string, sections map[string]grants.Line) {
	var all sync.WaitGroup
	for section, l := range sections {
		all.Go(func() {
			whole := r.copy(section, r.manifests[section])
			defer whole.end()
			if err := whole.waitWhole(); err != nil {
				r.t.Errorf("%s: %s with all its grants: %v", when, section, err)
				return
			}
			r.remove(when, removal{section, []string{l.Granted}, l.Lost}, whole)
		})
	}
	all.Wait()
}

// onFull takes priority classes away while no CPU is left: a pod of no priority holds what each copy asks for, so one with a
// priority takes its place, and the other waits.
func (r *remover) onFull() {
	sections := r.special("priority class ")
	if len(sections) == 0 {
		return
	}
	node, err := r.Client().CoreV1().Nodes().Get(r.t.Context(), testcluster.NodeName, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var free int64
	r.eventually("the copies are gone", func(ctx context.Context) error {
		pods, err := r.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		free = node.Status.Allocatable.Cpu().MilliValue()
		for _, p := range pods.Items {
			if strings.HasPrefix(p.Namespace, "copy-") {
				return fmt.Errorf("%s/%s is there", p.Namespace, p.Name)
			}
			if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
				for _, c := range p.Spec.Containers {
					free -= c.Resources.Requests.Cpu().MilliValue()
				}
			}
		}
		return nil
	})
	fill := func(name, class string, milli int64) {
		r.t.Helper()
		cpu := corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(milli, resource.DecimalSI)}
		_, err := r.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(r.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PodSpec{PriorityClassName: class, TerminationGracePeriodSeconds: new(int64(0)),
				Containers: []corev1.Container{{Name: "fill", Image: testcluster.PauseImage, ImagePullPolicy: corev1.PullNever, Resources: corev1.ResourceRequirements{Requests: cpu}}}}}, metav1.CreateOptions{})
		if err != nil {
			r.t.Fatal(err)
		}
		r.eventually(name+" has its place", func(ctx context.Context) error {
			pod, err := r.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
			if err == nil && pod.Spec.NodeName == "" {
				err = fmt.Errorf("%+v", pod.Status.Conditions)
			}
			return err
		})
	}
	names := []string{"fill"}
	fill("fill", "watchpost-node", free-int64(len(sections))) // a copy asks for 1m
	for section := range sections {
		program, _, _ := strings.Cut(section, " ")
		names = append(names, "fill-"+program)
		fill("fill-"+program, "", 1)
	}
	r.removeSpecial("on a node that is full", sections)
	for _, name := range names { // those that had to give way are gone
		if err := r.Client().CoreV1().Pods(metav1.NamespaceDefault).Delete(r.t.Context(), name, metav1.DeleteOptions{}); err != nil && name == "fill" {
			r.t.Error(err)
		}
	}
}
