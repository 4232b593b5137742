//go:build e2e

package e2e

// The page on a fleet: from all nodes to one pod and its application, search, targets, queries with completion, and
// what each view costs. 40 nodes and 800 pods, or with WATCHPOST_FLEET=1 500 nodes and 20,000 pods.

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/crypto/bcrypt"

	"watchpost/internal/testfleet"
)

func fleetSize() testfleet.Size {
	if os.Getenv("WATCHPOST_FLEET") != "" {
		return testfleet.Size{Nodes: 500, Pods: 20_000}
	}
	return testfleet.Size{Nodes: 40, Pods: 800}
}

// startFleet is a collector on the stored series of a fleet. Its jobs scrape as many addresses as there are nodes, all
// of them one server of the test; those of nodes that fell silent answer 500. The fleet is as it was at began.
func startFleet(t *testing.T, size testfleet.Size) (c *collector, began time.Time) {
	t.Helper()
	builtPage(t)
	c, began = newCollector(t), time.Now()
	series, err := testfleet.Fill(c.data, size, began)
	if err != nil {
		t.Fatal(err)
	}
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("down") == "1" {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "# HELP lamp_lit Whether the lamp is lit.\n# TYPE lamp_lit gauge\nlamp_lit 1\nlamp_hours_total 12\n")
	}))
	t.Cleanup(exporter.Close)
	address := strings.TrimPrefix(exporter.URL, "http://")
	var nodes strings.Builder
	for i := range size.Nodes {
		down := "0"
		if testfleet.NodeDown(i) {
			down = "1"
		}
		fmt.Fprintf(&nodes, "  - {targets: [%q], labels: {instance: %q, host: %q, __param_down: %q, cluster: %q}}\n",
			address, testfleet.NodeIP(i)+":9100", testfleet.NodeName(i), down, testfleet.Cluster)
	}
	fmt.Fprintf(&nodes, "  - {targets: [%q], labels: {host: spare-1}}\n", address)
	dir := t.TempDir()
	rules, file := filepath.Join(dir, "rules.yml"), filepath.Join(dir, "prometheus.yml")
	for name, text := range map[string]string{
		rules: `groups:
- name: pods
  interval: 1s
  rules:
  - {record: "namespace:pods:count", expr: count by (namespace) (kube_pod_info)}
  - alert: PodCrashes
    expr: kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"} == 1
    labels: {severity: warning}
    annotations: {summary: "{{ $labels.container }} of {{ $labels.pod }} crashes again and again"}
  - {alert: NodeWithoutPods, expr: 'kube_node_info unless on (node) kube_pod_info', for: 10m}
`,
		file: fmt.Sprintf(`global: {scrape_interval: 15s}
rule_files: [%q]
scrape_configs:
- job_name: node
  relabel_configs:
  - {source_labels: [host], regex: "spare-.*", action: drop}
  - {source_labels: [host], target_label: rack, regex: "node-(.).*", replacement: "r$1"}
  static_configs:
%s`, rules, nodes.String()),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.args = append(c.args, "--config.file="+file)
	filled := time.Now()
	c.start()
	t.Logf("%d nodes, %d pods, %d series: written in %s, collector ready after %s", size.Nodes, size.Pods, series,
		filled.Sub(began).Round(100*time.Millisecond), time.Since(filled).Round(100*time.Millisecond))
	return c, began
}

// cost logs what a view's question takes the first time and again, with the queries it made and what the collector used of
// all processors meanwhile, for whatever it did: where that is far less than the time, the machine was busy with other
// things. The lists that the page may keep are kept.
func (c *collector) cost(view, path string) {
	c.t.Helper()
	var said []string
	used := func() float64 {
		c.t.Helper()
		seconds, err := processorSeconds(c.cmd.Process.Pid)
		if err != nil {
			c.t.Fatal(err)
		}
		return seconds
	}
	for range 2 {
		before, began := used(), time.Now()
		a := get(c.t, http.DefaultClient, "http://"+c.web+path)
		took, cpu := time.Since(began), used()-before
		var body struct {
			Data struct {
				Cost *struct{ Queries int }
			}
		}
		if a.status != http.StatusOK {
			c.t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		_ = json.Unmarshal([]byte(a.body), &body) // some answers are lists, and ask the index alone
		queries := 0
		if body.Data.Cost != nil {
			queries = body.Data.Cost.Queries
		}
		said = append(said, fmt.Sprintf("%6.1f ms (processors %3.0f), %2d queries, %5.1f kB", took.Seconds()*1000, cpu*1000, queries, float64(len(a.body))/1000))
	}
	c.t.Logf("%-22s first %s; again %s", view, said[0], said[1])
}

// looked logs what the view that stands took in the browser, from the address to the first and the last answer.
func (b *browser) looked(view string) {
	b.t.Helper()
	took := evaluate[struct{ Answers, First, Last, Longest float64 }](b, `(() => {
		const asked = performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/"));
		return {
			Answers: asked.length,
			First: Math.min(...asked.map((e) => e.responseEnd), 1e9),
			Last: Math.max(0, ...asked.map((e) => e.responseEnd)),
			Longest: Math.max(0, ...asked.map((e) => e.responseEnd - e.requestStart)),
		};
	})()`)
	b.t.Logf("%-12s %2.0f answers, the first after %4.0f ms, the last after %4.0f ms; the longest took %4.0f ms", view, took.Answers, took.First, took.Last, took.Longest)
}

const rows = `document.querySelectorAll(".list tbody tr").length`

func TestPageOfAFleet(t *testing.T) {
	beside(t)
	size := fleetSize()
	c, began := startFleet(t, size)
	b := startBrowser(t, "http://"+c.web)
	var sick testfleet.Pod
	for i := range size.Pods {
		if p := testfleet.PodAt(size, i); p.Sick && !testfleet.NodeDown(p.Node) && testfleet.AppKind(p.App) == "Deployment" {
			sick = p
			break
		}
	}
	address := func(path string, params ...string) string {
		q := url.Values{}
		for i := 0; i < len(params); i += 2 {
			q.Set(params[i], params[i+1])
		}
		return path + "?" + q.Encode()
	}
	ofPod := []string{"cluster", testfleet.Cluster, "namespace", sick.Namespace, "pod", sick.Name}
	ofApp := []string{"cluster", testfleet.Cluster, "namespace", sick.Namespace, "kind", "Deployment", "app", testfleet.AppName(sick.App)}

	t.Run("what views cost", func(t *testing.T) {
		c := *c
		c.t = t
		for _, v := range []struct{ name, path string }{
			{"fleet", "/api/page/nodes"},
			{"fleet by memory", "/api/page/nodes?sort=memory&desc=1"},
			{"node", address("/api/page/node", "node", testfleet.NodeName(sick.Node))},
			{"pods of a node", address("/api/page/pods", "node", testfleet.NodeName(sick.Node))},
			{"pods", "/api/page/pods"},
			{"pods by CPU", "/api/page/pods?sort=cpu&desc=1"},
			{"pod", address("/api/page/pod", ofPod...)},
			{"applications", "/api/page/apps"},
			{"application", address("/api/page/app", ofApp...)},
			{"search", address("/api/page/search", "q", sick.IP)},
			{"targets", "/api/page/targets"},
			{"dropped targets", "/api/page/targets?state=dropped"},
			{"cardinality", "/api/page/cardinality"},
			{"cardinality by job", "/api/page/cardinality?by=job"},
			{"a metric's labels", "/api/page/cardinality/metric?name=kube_pod_status_phase"},
			{"rules", "/api/v1/rules?group_limit=200"},
			{"completion", "/api/v1/label/__name__/values?limit=20000"},
		} {
			c.cost(v.name, v.path)
		}
	})

	t.Run("from the fleet to the application", func(t *testing.T) {
		b := b.in(t)
		b.size(1400, 900)
		b.open("/")
		b.wait(fmt.Sprintf(`%s === %d`, rows, min(50, size.Nodes)))
		if got := b.text(".nodes tbody tr:first-child"); !strings.Contains(got, testfleet.NodeName(13)) || !strings.Contains(got, "silent") {
			t.Errorf("the first node is %q, want the one that fell silent", got)
		}
		b.shot("fleet-light")
		b.press(`.nodes th.memory button`)
		b.wait(`document.querySelector(".nodes th.memory").ariaSort === "descending" && document.querySelector(".nodes[aria-busy=false]") !== null`)
		b.wait(`(() => { const v = [...document.querySelectorAll(".nodes td.memory .value")].map((e) => parseFloat(e.innerText)).filter((x) => !isNaN(x)); return v.length > 0 && v.every((x, i) => i === 0 || v[i - 1] >= x); })()`)
		if size.Nodes > 50 {
			b.press(".pager button:last-child")
			b.wait(`document.querySelector(".pager span").innerText.startsWith("51–100")`)
		}
		b.write(".filter", testfleet.NodeIP(sick.Node))
		// The name has the state before it, for those who hear the page.
		of := fmt.Sprintf(`[...document.querySelectorAll(".nodes a.row")].find((a) => a.innerText.trim().split(/\s+/).includes(%q))`, testfleet.NodeName(sick.Node))
		b.wait(fmt.Sprintf(`%s < 15 && %s !== undefined`, rows, of))
		evaluate[any](b, of+`.click()`)

		b.wait(`location.pathname === "/node" && document.querySelector(".alarm")?.innerText.includes("in trouble")`)
		b.wait(drawn("#panel-cpu .chart"))
		b.wait(`document.querySelectorAll("#disks tbody tr").length === 2 && document.querySelectorAll("#interfaces tbody tr").length === 3`)
		b.wait(settled)
		b.shot("node-light")
		b.wait(fmt.Sprintf(`document.querySelector(".pods tbody tr:first-child a.row")?.innerText.includes(%q)`, sick.Name))
		b.press(".pods tbody tr:first-child a.row")

		b.wait(`location.pathname === "/pod"`)
		b.wait(`document.querySelector(".containers tbody tr")?.innerText.includes("OOMKilled (137)")`)
		for _, want := range []string{"CrashLoopBackOff", testfleet.NodeName(sick.Node), sick.IP, "Deployment " + testfleet.AppName(sick.App)} {
			if got := b.text("main"); !strings.Contains(got, want) {
				t.Errorf("the pod's view lacks %q:\n%s", want, got)
			}
		}
		b.wait(`document.querySelector(".events")?.innerText.includes("app restarted")`)
		b.wait(drawn("#panel-memory .chart"))
		b.wait(settled)
		b.shot("pod-light")
		b.press(".chain a")

		b.wait(`location.pathname === "/app"`)
		b.wait(`document.querySelectorAll(".pods tbody tr").length === 20`)
		b.wait(drawn("#panel-cpu .chart"))
		b.shot("app-light")
		b.press(`nav a[href^="/apps"]`)
		b.wait(fmt.Sprintf(`%s === %d`, rows, min(50, testfleet.Apps(size))))
		b.quiet()
	})

	t.Run("search by address", func(t *testing.T) {
		b := b.in(t)
		b.open("/targets")
		b.wait(`document.querySelector(".targets tbody tr") !== null`)
		// Not typed: the driver would write the letter although the page takes the key.
		evaluate[bool](b, `document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true }))`)
		b.wait(`document.activeElement?.matches(".search input")`)
		b.write(".search input", sick.IP)
		b.wait(fmt.Sprintf(`document.querySelector("#hit-0")?.innerText.includes(%q)`, sick.Name))
		b.shot("search-light")
		b.write(".search input", "\r")
		b.wait(fmt.Sprintf(`location.pathname === "/pod" && document.querySelector("h1")?.innerText.includes(%q)`, sick.Name))
		b.quiet()
	})

	t.Run("targets", func(t *testing.T) {
		b := b.in(t)
		down := 0
		for i := range size.Nodes {
			if testfleet.NodeDown(i) {
				down++
			}
		}
		b.open("/targets")
		b.wait(fmt.Sprintf(`document.querySelector('.choice button:nth-child(2) b')?.innerText === "%d" && document.querySelector('.choice button:nth-child(4) b').innerText === "%d"`, down, size.Nodes-down))
		b.shot("targets-light")
		b.write(".filter", "host=node-14 ")
		b.wait(`document.querySelector(".targets tbody tr td.labels")?.innerText.includes("node-14") && ` + rows + ` < 12`)
		b.press(`.choice button:nth-child(2)`)
		b.wait(`location.search.includes("state=down") && ` + rows + ` === 1 && document.querySelector(".targets .error").innerText.includes("500")`)
		b.open("/targets?state=dropped")
		b.wait(`document.querySelector(".targets .error")?.innerText === "dropped by rule 1: drop [host] spare-.*"`)
		b.press(".targets a.row")
		b.wait(`document.querySelector(".steps .dropped")?.innerText.includes("dropped here") && document.querySelectorAll(".steps .unreached").length === 1`)
		b.open("/targets?q=node-2&state=up")
		b.wait(`document.querySelector(".targets a.row") !== null`)
		b.press(".targets a.row")
		b.wait(`document.querySelector(".steps ins")?.innerText === "r2"`)
		b.shot("target-light")
		b.press(`.choice button:nth-child(2)`)
		b.wait(`document.querySelector(".raw")?.innerText.includes("lamp_lit 1")`)
		b.write("#raw .filter", "hours")
		b.wait(`document.querySelector(".raw").innerText.trim() === "lamp_hours_total 12"`)
		b.quiet()
	})

	t.Run("query with completion", func(t *testing.T) {
		b := b.in(t)
		const editor = `document.querySelector(".editor").shadowRoot`
		b.open("/query")
		b.wait(`document.querySelector('.editor[data-ready="true"]') !== null`)
		evaluate[any](b, editor+`.querySelector(".cm-content").focus()`)
		b.do(chromedp.KeyEvent("kube_pod_contai"))
		b.wait(editor + `.querySelector(".cm-tooltip-autocomplete li")?.innerText.includes("kube_pod_container_")`)
		b.do(chromedp.KeyEvent("ner_status_waiting_r"))
		b.wait(editor + `.querySelectorAll(".cm-tooltip-autocomplete li").length === 1`)
		b.shot("query-completion-light")
		time.Sleep(200 * time.Millisecond) // CodeMirror takes no choice in the first moment, so that none is made by accident
		b.do(chromedp.KeyEvent("\t"))
		b.wait(editor + `.querySelector(".cm-content").innerText === "kube_pod_container_status_waiting_reason"`)
		b.do(chromedp.KeyEvent("{rea"))
		b.wait(editor + `.querySelector(".cm-tooltip-autocomplete li")?.innerText.includes("reason")`)
		time.Sleep(200 * time.Millisecond)
		b.do(chromedp.KeyEvent("\t"))
		b.do(chromedp.KeyEvent(`="`))
		b.wait(editor + `.querySelector(".cm-tooltip-autocomplete li")?.innerText.includes("CrashLoopBackOff")`)
		time.Sleep(200 * time.Millisecond)
		b.do(chromedp.KeyEvent("\t"))
		b.do(chromedp.KeyEvent("\r"))
		b.wait(`document.querySelector(".result tbody tr")?.innerText.includes("CrashLoopBackOff")`)
		if got := evaluate[string](b, `new URLSearchParams(location.search).get("expr")`); got != `kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}` {
			t.Errorf("the address has %q", got)
		}
		b.press(`.choice[aria-label="Show as"] button:nth-child(2)`)
		b.wait(`document.querySelector(".big .chart")?.dataset.points > 0`)
		b.do(chromedp.Reload())
		b.wait(`document.querySelector(".big .chart")?.dataset.points > 0`)
		b.wait(`document.querySelector(".editor[data-ready=true]")?.shadowRoot.querySelector(".cm-content")?.innerText.startsWith("kube_pod_container_status_waiting_reason{")`)
		b.quiet()
	})

	t.Run("alerts, cardinality, status", func(t *testing.T) {
		b := b.in(t)
		b.open("/alerts")
		b.wait(`document.querySelector(".rules .firing .alert")?.innerText.includes("crashes again and again")`)
		b.shot("alerts-light")
		b.press(".rules .firing .alert a")
		b.wait(`location.pathname === "/pod" && document.querySelector("main").innerText.includes("CrashLoopBackOff")`)
		b.open("/cardinality")
		b.wait(`document.querySelector("#bars-by li") !== null`)
		b.shot("cardinality-light")
		b.press(`#bars-by .choice button:nth-child(2)`)
		b.wait(`document.querySelector("#bars-by li")?.innerText.includes("state-agent")`)
		b.open("/cardinality?metric=kube_pod_status_phase")
		b.wait(`[...document.querySelectorAll("#metric tbody tr")].some((r) => r.innerText.includes("phase") && r.innerText.includes("Running"))`)
		for tab, want := range map[string]string{"": "Series in memory", "config": "job_name: node", "flags": "--storage.tsdb.path", "storage": "No block"} {
			b.open("/status?tab=" + tab)
			b.wait(fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, want))
		}
		b.quiet()
	})

	t.Run("keyboard", func(t *testing.T) {
		b := b.in(t)
		b.open("/fleet")
		b.wait(`document.querySelector(".nodes a.row") !== null`)
		evaluate[any](b, `document.querySelector(".nodes a.row").focus()`)
		b.do(chromedp.KeyEvent("jjk"))
		b.wait(`document.activeElement === document.querySelectorAll(".nodes a.row")[1]`)
		b.do(chromedp.KeyEvent("\r"))
		b.wait(`location.pathname === "/node"`)
		b.quiet()
	})

	t.Run("what is not there", func(t *testing.T) {
		b := b.in(t)
		for _, v := range []struct{ name, path, says string }{
			{"pod", "/pod?namespace=nowhere&pod=gone", "pod nowhere/gone is not there"},
			{"node", "/node?node=gone", "no node of that name"},
			{"app", "/app?namespace=nowhere&kind=Deployment&app=gone", "no pod of Deployment gone"},
			{"fleet", "/fleet?q=zzz", "No node matches."},
			{"pods", "/pods?q=zzz", "No pod matches."},
			{"apps", "/apps?q=zzz", "No application matches."},
			{"targets", "/targets?q=zzz", "No target matches"},
			{"metric", "/cardinality?metric=gone", "No series of that name"},
			{"query", "/query?expr=gone", "No series: nothing matches"},
			{"mistake", "/query?expr=up%7B", "parse error"},
			{"time", "/fleet?time=2020-01-01T00:00:00Z", "No node has reported"},
		} {
			b.open(v.path)
			b.wait(fmt.Sprintf(`document.querySelector("main")?.innerText.includes(%q)`, v.says))
			b.shot("none-" + v.name)
		}
		b.quiet("404 (Not Found)", "400 (Bad Request)", "422 (Unprocessable Entity)")
	})

	t.Run("another time", func(t *testing.T) {
		b := b.in(t)
		then := began.Add(-20 * time.Minute).UTC().Format(time.RFC3339)
		silent := testfleet.NodeName(13)
		b.open(address("/fleet", "time", then, "q", silent))
		// It has fallen silent ten minutes ago.
		first := fmt.Sprintf(`[...document.querySelectorAll(".nodes tbody tr")].find((r) => r.querySelector("a.row").innerText.trim().split(/\s+/).includes(%q))`, silent)
		b.wait(first + ` !== undefined && !` + first + `.innerText.includes("silent:") && ` + first + `.querySelector("td.cpu .bar") !== null`)
		b.shot("then-light")
		evaluate[any](b, first+`.querySelector("a.row").click()`)
		b.wait(`location.pathname === "/node" && new URLSearchParams(location.search).get("time") !== null`)
		b.wait(`document.querySelector(".live")?.innerText.includes("back to now") && !document.querySelector("main").innerText.includes("silent:")`)
		b.press(".live")
		b.wait(`new URLSearchParams(location.search).get("time") === null && document.querySelector(".why")?.innerText.includes("silent:")`)
		b.press(`nav a[href^="/pods"]`)
		b.wait(`location.pathname === "/pods" && !location.search.includes("time") && document.querySelector(".pods tbody tr") !== null`)
		b.quiet()
	})

	t.Run("every width, light and dark", func(t *testing.T) {
		b := b.in(t)
		views := []struct {
			name, path, there string
			list              bool
		}{
			{"fleet", "/fleet", `document.querySelector(".nodes tbody tr") !== null`, true},
			{"node", address("/node", "node", testfleet.NodeName(sick.Node), "cluster", testfleet.Cluster), drawn("#panel-cpu .chart"), false},
			{"pods", "/pods?state=sick", `document.querySelector(".pods tbody tr") !== null`, true},
			{"pod", address("/pod", ofPod...), drawn("#panel-memory .chart"), true},
			{"apps", "/apps", `document.querySelector(".apps tbody tr") !== null`, true},
			{"app", address("/app", ofApp...), drawn("#panel-cpu .chart"), true},
			{"targets", "/targets", `document.querySelector(".targets tbody tr") !== null`, true},
			{"alerts", "/alerts", `document.querySelector(".rules li") !== null`, false},
			{"query", "/query?expr=sum+by+(phase)+(kube_pod_status_phase)&tab=graph", drawn(".big .chart"), false},
			{"cardinality", "/cardinality", `document.querySelector("#bars-by li") !== null`, false},
			{"status", "/status", `document.querySelector(".plain tr") !== null`, false},
		}
		for _, scheme := range []string{"light", "dark"} {
			b.prefers(scheme)
			for _, screen := range []struct {
				name          string
				width, height int64
			}{{"desktop", 1400, 900}, {"window", 1024, 768}, {"half", 780, 900}, {"phone", 390, 844}} {
				if scheme == "dark" && os.Getenv("E2E_SCREENSHOTS") == "" {
					continue // the layout is the same
				}
				b.size(screen.width, screen.height)
				for _, v := range views {
					if between := screen.width > 500 && screen.width < 1400; between && !v.list {
						continue // charts and text fit anywhere
					}
					b.open(v.path)
					b.wait(v.there)
					b.wait(settled)
					if scheme == "light" && screen.name == "desktop" {
						b.looked(v.name)
					}
					if over := evaluate[int](b, `Math.max(document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll(".scroll:has(> .list)")].map((e) => e.scrollWidth - e.clientWidth))`); over > 0 {
						t.Errorf("%s is %d pixels wider than a %s", v.name, over, screen.name)
					}
					b.shot(fmt.Sprintf("fleet-%s-%s-%s", v.name, screen.name, scheme))
				}
			}
		}
		b.quiet()
	})
}

// With a web configuration that asks for a password, nothing is served without it: no view, no script, no list, no answer
// of a target, no word of health, whatever is switched on and however it is asked.
func TestPageAuth(t *testing.T) {
	beside(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("lamp"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	builtPage(t)
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "basic_auth_users: {keeper: %q}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCollector(t, "--web.config.file="+file, "--web.enable-lifecycle", "--web.enable-admin-api", "--web.enable-remote-write-receiver",
		"--web.enable-otlp-receiver", "--probe", "--push")
	c.args = append(c.args, "--config.file="+c.configFile(""))
	c.run()
	ask := func(method, path, user, password string) (int, string, http.Header) {
		r, err := http.NewRequest(method, "http://"+c.web+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error(), nil
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body), answer.Header
	}
	c.until("ready", func() error {
		if status, body, _ := ask(http.MethodGet, "/-/ready", "keeper", "lamp"); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	// What is there with the password, so that this is no list of paths that do not exist.
	there := []string{
		"/", "/fleet", "/node", "/pods", "/pod", "/apps", "/app", "/targets", "/target", "/alerts", "/query", "/cardinality", "/status",
		"/api/page/nodes", "/api/page/pods", "/api/page/apps", "/api/page/search?q=a", "/api/page/targets", "/api/page/targets/pools", "/api/page/cardinality",
		"/api/page/cardinality/metric?name=up", "/api/page/storage", "/api/v1/query?query=up", "/api/v1/query_range?query=up&start=0&end=1&step=1", "/api/v1/labels", "/api/v1/label/job/values",
		"/api/v1/series?match[]=up", "/api/v1/metadata", "/api/v1/rules", "/api/v1/alerts", "/api/v1/targets", "/api/v1/scrape_pools",
		"/api/v1/status/config", "/api/v1/status/flags", "/api/v1/status/buildinfo", "/api/v1/status/runtimeinfo", "/api/v1/status/tsdb", "/api/v1/status/walreplay",
		"/federate?match[]=up", "/metrics", "/-/healthy", "/-/ready", "/healthz", "/livez", "/readyz",
		"/probe?target=127.0.0.1:1&module=tcp_connect", "/push/metrics", "/push/-/healthy", "/push/api/v1/status",
	}
	// Every file of the page.
	assets := 0
	if err := filepath.WalkDir(dist, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && d.Name() != "index.html" {
			there = append(there, strings.TrimPrefix(filepath.ToSlash(path), dist))
			assets++
		}
		return err
	}); err != nil || assets < 4 { // script, style, editor, icon
		t.Fatalf("%d files of the page (%v); run `make web`", assets, err)
	}
	for _, path := range there {
		c.until(path+" with the password", func() error {
			if status, body, _ := ask(http.MethodGet, path, "keeper", "lamp"); status != http.StatusOK {
				return fmt.Errorf("%d: %.80s", status, body)
			}
			return nil
		})
	}
	// The target is this collector, which refuses a scrape without a password: that is told, and no password of the reader
	// is passed on.
	raw := "/api/page/targets/raw?pool=collector&url=" + url.QueryEscape("http://"+c.web+"/metrics")
	c.until("the refusal of a target", func() error {
		if status, body, _ := ask(http.MethodGet, raw, "keeper", "lamp"); status != http.StatusBadGateway {
			return fmt.Errorf("%d: %.80s", status, body)
		}
		return nil
	})
	// What changes something, or is not there at all, is not told apart either. None of it may run with the password here.
	others := []string{raw, "/-/reload", "/-/quit", "/api/v1/write", "/api/v1/read", "/api/v1/otlp/v1/metrics", "/api/v1/admin/tsdb/snapshot",
		"/api/v1/admin/tsdb/delete_series?match[]=up", "/api/v1/admin/tsdb/clean_tombstones", "/metrics/job/some", "/push/metrics/job/some", "/nothing", "/api/v1/nothing", "/assets/", "//metrics", "/./metrics"}
	for _, path := range append(there, others...) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			for _, who := range [][2]string{{}, {"keeper", ""}, {"keeper", "lamps"}, {"nobody", "lamp"}} {
				if who != [2]string{} && method != http.MethodGet {
					continue
				}
				status, body, header := ask(method, path, who[0], who[1])
				if status != http.StatusUnauthorized || method != http.MethodHead && body != "Unauthorized\n" || header.Get("WWW-Authenticate") != "Basic" {
					t.Errorf("%s %s as %q: %d %v %.60q", method, path, who, status, header, body)
				}
			}
		}
	}
	if status, _, _ := ask(http.MethodGet, "/-/healthy", "keeper", "lamp"); status != http.StatusOK {
		t.Errorf("after all that: %d", status)
	}
}
