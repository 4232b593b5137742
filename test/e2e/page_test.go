//go:build e2e

package e2e

// The collector's page in a real browser, against a real collector that scrapes this host.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"watchpost/internal/freeport"
)

// patience is how long anything may take before the test gives up. It is not what anything should take.
const patience = 90 * time.Second

// startPageCollector is a collector that scrapes this host, itself, and one target that is not there.
func startPageCollector(t *testing.T) *collector {
	t.Helper()
	c := newCollector(t, "--standalone")
	c.args = append(c.args, "--config.file="+c.configFile(`- {job_name: nobody, static_configs: [{targets: ["127.0.0.1:1"]}]}`))
	c.start()
	if page := get(t, http.DefaultClient, "http://"+c.web+"/"); page.status != http.StatusOK {
		t.Fatalf("the page is not built; run `make web`: %d %s", page.status, page.body)
	}
	return c
}

// scraped waits until the expression has a value.
func scraped(c *collector, expr string) {
	c.t.Helper()
	c.until("scraped: "+expr, func() error {
		got, err := c.query(expr)
		if err == nil && len(got) == 0 {
			err = errors.New("no series")
		}
		return err
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	a, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// browser is one tab, and what went wrong in it.
type browser struct {
	t     *testing.T
	ctx   context.Context
	base  string
	shots string // folder of the screenshots

	mu       sync.Mutex
	problems []string
}

func startBrowser(t *testing.T, base string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed; on Debian: apt-get install chromium")
	}
	tmp, err := os.MkdirTemp("", "chromium-") // it leaves things there; t.TempDir's names are too long for its socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Env("TMPDIR="+tmp),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	alloc, stopAlloc := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stopAlloc)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx, base: base, shots: os.Getenv("E2E_SCREENSHOTS")}
	if b.shots == "" {
		b.shots = t.TempDir()
	}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	return b
}

// heard notes every word on the console and every request that leaves the origin.
func (b *browser) heard(ev any) {
	var problem string
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		problem = fmt.Sprintf("console.%s", ev.Type)
		for _, a := range ev.Args {
			problem += " " + string(a.Value) + a.Description
		}
	case *runtime.EventExceptionThrown:
		problem = "exception: " + ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			problem += " " + e.Description
		}
	case *log.EventEntryAdded:
		problem = fmt.Sprintf("%s %s: %s %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(ev.Request.URL, b.base+"/") || strings.HasPrefix(ev.Request.URL, "data:") {
			return // data: is the browser's own icon in a field for dates; the page has none
		}
		problem = "request to " + ev.Request.URL
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

// quiet fails the test for everything heard since it was last asked, except what is expected.
func (b *browser) quiet(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, p := range b.problems {
		for _, e := range expected {
			if strings.Contains(p, e) {
				continue next
			}
		}
		b.t.Errorf("heard in the browser: %s", p)
	}
	b.problems = nil
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func evaluate[T any](b *browser, expr string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// wait is until the expression is true in the page.
func (b *browser) wait(expr string) {
	b.t.Helper()
	poll := chromedp.Poll[chromedp.Void](expr, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(patience))
	err := chromedp.Do(b.ctx, poll)
	for tries := 0; err != nil && strings.Contains(err.Error(), "Cannot find context") && tries < 3; tries++ {
		err = chromedp.Do(b.ctx, poll) // the driver asked the page that was there before
	}
	if err != nil {
		b.t.Fatalf("waiting for %s: %v\nthe page says:\n%s", expr, err, evaluate[string](b, "document.body.innerText"))
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// prefers sets the system's colour scheme.
func (b *browser) prefers(scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? '(none)'", selector))
}

func (b *browser) press(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *browser) shot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.shots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// drawn is the JavaScript for: this panel has points, and its canvas has pixels that are neither clear nor grey.
func drawn(figure string) string {
	return fmt.Sprintf(`(() => {
		const f = document.querySelector(%q);
		const c = f?.querySelector("canvas");
		if (!c || !(Number(f.dataset.points) > 0)) return false;
		const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		const p = copy.getImageData(0, 0, c.width, c.height).data;
		let coloured = 0;
		for (let i = 0; i < p.length; i += 4) {
			const most = Math.max(p[i], p[i + 1], p[i + 2]), least = Math.min(p[i], p[i + 1], p[i + 2]);
			if (p[i + 3] > 100 && most - least > 60) coloured++;
		}
		return coloured > 20;
	})()`, figure)
}

const settled = `document.querySelectorAll(".panel[aria-busy=true]").length === 0`

func TestPage(t *testing.T) {
	beside(t)
	c := startPageCollector(t)
	b := startBrowser(t, "http://"+c.web)
	for _, expr := range []string{
		`count_over_time(node_load1[1m]) > 8`, `rate(node_cpu_seconds_total[10s])`, `up{job="nobody"} == 0`,
	} {
		scraped(c, expr)
	}

	t.Run("overview", func(t *testing.T) {
		b := b.in(t)
		b.size(1400, 900)
		b.open("/?range=15m")
		for _, panel := range []string{"cpu", "memory", "load"} {
			b.wait(drawn("#panel-" + panel + " .chart"))
		}
		b.wait(settled)
		for id, want := range map[string]string{
			"cpu":    `^\d+(\.\d+)?%$`,
			"memory": `^\d+(\.\d+)?%$`,
			"load":   `^\d+(\.\d+)?$`,
			"uptime": `^\d+[dhms]`,
		} {
			b.wait(fmt.Sprintf(`/%s/.test(document.querySelector("#head-%s .number")?.innerText)`, want, id))
		}
		host, err := os.ReadFile("/proc/sys/kernel/hostname")
		if err != nil {
			t.Fatal(err)
		}
		kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
		if err != nil {
			t.Fatal(err)
		}
		b.wait(`document.querySelector("#head-system .sub").innerText !== ""`)
		for _, want := range []string{strings.TrimSpace(string(host)), strings.TrimSpace(string(kernel))} {
			if got := b.text("#head-system"); !strings.Contains(got, want) {
				t.Errorf("system says %q, want %q in it", got, want)
			}
		}
		// Whatever this host lacks is said in words; nothing is an empty frame, nothing is a broken number.
		if n := evaluate[int](b, `[...document.querySelectorAll(".panel")].filter(p => !p.querySelector(".chart, .empty")).length`); n != 0 {
			t.Errorf("%d panels show neither a chart nor a reason", n)
		}
		if got := b.text("body"); strings.Contains(got, "NaN") || strings.Contains(got, "undefined") {
			t.Errorf("the page says:\n%s", got)
		}
		b.shot("overview-light")
		b.quiet()
	})

	t.Run("a shared cursor and a legend with values", func(t *testing.T) {
		b := b.in(t)
		b.wait(drawn("#panel-load .chart"))
		box := evaluate[[]float64](b, `(() => { const r = document.querySelector("#panel-memory .u-over").getBoundingClientRect();
			return [r.right - 0.5, r.top + 40]; })()`)
		b.do(chromedp.MouseEvent("mouseMoved", box[0], box[1]))
		b.wait(`document.querySelector("#panel-memory time").innerText !== ""`)
		b.wait(`document.querySelector("#panel-load time").innerText === document.querySelector("#panel-memory time").innerText`)
		if got := b.text("#panel-load .value"); strings.TrimFunc(got, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' }) != "" {
			t.Errorf("load at the cursor is %q", got)
		}
		b.quiet()
	})

	t.Run("a stretch of time is chosen by dragging", func(t *testing.T) {
		b := b.in(t)
		box := evaluate[[]float64](b, `(() => { const r = document.querySelector("#panel-memory .u-over").getBoundingClientRect();
			return [r.left + r.width / 2, r.top + 40, r.right - 1]; })()`)
		b.do(chromedp.DragAndDropXY(box[0], box[1], box[2], box[1]))
		b.wait(`/range=7m\d*s?&time=20/.test(location.search)`) // half of a quarter of an hour
		b.wait(`document.querySelector(".live")?.innerText.includes("back to now")`)
		b.wait(drawn("#panel-memory .chart"))
		b.press(".live")
		b.wait(`location.search === ""`)
		b.open("/?range=15m")
		b.wait(drawn("#panel-memory .chart"))
		b.quiet()
	})

	t.Run("a line is hidden and shown from its legend", func(t *testing.T) {
		b := b.in(t)
		const first = "#panel-load .legend li:first-child button"
		points := `Number(document.querySelector("#panel-load .chart").dataset.points)`
		b.wait(drawn("#panel-load .chart"))
		before := evaluate[int](b, points)
		b.press(first)
		b.wait(fmt.Sprintf(`%s < %d && document.querySelector(%q).ariaPressed === "false"`, points, before, first))
		b.press(first)
		b.wait(fmt.Sprintf(`%s >= %d`, points, before))
		b.quiet()
	})

	t.Run("targets", func(t *testing.T) {
		b := b.in(t)
		b.press(`nav a[href="/targets"]`)
		b.wait(`document.querySelectorAll(".targets tbody tr").length === 3`)
		if got := b.text(".targets tbody tr:first-child"); !strings.Contains(got, "down") || !strings.Contains(got, "connection refused") {
			t.Errorf("the first row is %q, want the target that is down, and why", got)
		}
		b.shot("targets-light")
		b.do(chromedp.SendKeys(chromedp.CSS(".filter"), c.node))
		b.wait(`document.querySelectorAll(".targets tbody tr").length === 1`)
		if got := b.text(".targets tbody tr"); !strings.Contains(got, "up") || !strings.Contains(got, "http://"+c.node+"/metrics") || !strings.Contains(got, "ago") {
			t.Errorf("the row of the node is %q", got)
		}
		b.press(`.choice button:nth-child(2)`)
		b.wait(`document.querySelector(".empty")?.innerText.includes("No target matches")`)
		if got := evaluate[string](b, "location.search"); !strings.Contains(got, "state=down") {
			t.Errorf("the address is %q, want the filter in it", got)
		}
		b.quiet()
	})

	t.Run("query", func(t *testing.T) {
		b := b.in(t)
		scraped(c, `count_over_time(up[1m]) > 25`) // so that a line is long enough to be seen
		b.press(`nav a[href="/query"]`)
		b.wait(`document.querySelector('.editor[data-ready="true"]') !== null`)
		evaluate[any](b, `document.querySelector(".editor").shadowRoot.querySelector(".cm-content").focus()`)
		b.do(chromedp.KeyEvent("up\r"))
		b.wait(`document.querySelectorAll(".result tbody tr").length === 3`)
		if got := b.text(".result tbody"); !strings.Contains(got, `up{instance="`+c.node+`", job="node"}`) {
			t.Errorf("the result is %q", got)
		}
		b.shot("query-table-light")
		b.press(`.choice[aria-label="Show as"] button:nth-child(2)`)
		b.wait(`document.querySelector(".big .chart")?.dataset.points > 0`)
		b.press(`.choice[aria-label="Time range"] button:first-child`) // an hour would leave few pixels to few seconds
		b.wait(drawn(".big .chart"))
		const want = "?expr=up&tab=graph&range=15m"
		if got := evaluate[string](b, "location.pathname + location.search"); got != "/query"+want {
			t.Errorf("the address is %s, want %s", got, want)
		}
		b.do(chromedp.Reload())
		b.wait(drawn(".big .chart"))
		evaluate[any](b, "history.go(-2)")
		b.wait(`document.querySelectorAll(".result tbody tr").length === 3`)
		b.open("/graph?g0.expr=" + url.QueryEscape(`sum(up)`) + "&g0.tab=1") // as in the alerts of Prometheus
		b.wait(`document.querySelector(".result td.right")?.innerText === "2"`)
		for expr, answer := range map[string]string{
			"1 + 1":   "2",
			`"a\"b"`:  `"a\"b"`,
			`up[5s]`:  "@",
			`up == 7`: "No series",
		} {
			b.open("/query?expr=" + url.QueryEscape(expr))
			b.wait(fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, answer))
		}
		b.quiet()
		b.open("/query?expr=" + url.QueryEscape("up ("))
		b.wait(`document.querySelector("[role=alert]")?.innerText.startsWith("bad_data: invalid parameter")`)
		b.quiet("400 (Bad Request)")
	})

	t.Run("dark", func(t *testing.T) {
		b := b.in(t)
		const brightness = `getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)`
		b.prefers("dark")
		b.open("/?range=15m")
		b.wait(drawn("#panel-memory .chart"))
		b.wait(settled)
		if got := evaluate[int](b, brightness); got > 120 {
			t.Errorf("the background's channels add up to %d where the system prefers dark", got)
		}
		b.shot("overview-dark")
		b.press(`button[aria-label="Light theme"]`)
		b.do(chromedp.Reload())
		b.wait(drawn("#panel-memory .chart"))
		if got := evaluate[int](b, brightness); got < 600 {
			t.Errorf("the background's channels add up to %d where light was chosen", got)
		}
		b.press(`button[aria-label="Dark theme"]`)
		if kept := evaluate[bool](b, `localStorage.getItem("watchpost.theme") === null`); !kept {
			t.Error("back at the system's preference, it is not the system's choice again")
		}
		b.quiet()
	})

	t.Run("narrow", func(t *testing.T) {
		b := b.in(t)
		b.size(360, 740)
		for path, there := range map[string]string{
			"/?range=5m": drawn("#panel-memory .chart"),
			"/targets":   `document.querySelectorAll(".targets tbody tr").length === 3`,
			"/query?tab=graph&range=5m&expr=" + url.QueryEscape("node_load1 or node_load5"): drawn(".big .chart"),
			"/query?expr=" + url.QueryEscape("node_uname_info"):                             `document.querySelector(".result tbody tr") !== null`,
		} {
			b.open(path)
			b.wait(there)
			if over := evaluate[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s is %d pixels wider than the screen", path, over)
			}
			b.shot("narrow-" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' {
					return r
				}
				return '-'
			}, strings.ToLower(path)))
		}
		b.quiet()
	})
}

// in lets the failures of a subtest be its own.
func (b *browser) in(t *testing.T) *browser {
	b.t = t
	return b
}

func TestPageOutlivesTheCollector(t *testing.T) {
	beside(t)
	c := startPageCollector(t)
	b := startBrowser(t, "http://"+c.web)
	scraped(c, `count_over_time(node_load1[1m]) > 8`)
	b.open("/?range=15m")
	b.wait(drawn("#panel-memory .chart"))

	if err := c.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	b.press(`button[aria-label="Renew now"]`)
	b.wait(`document.querySelector(".gone")?.innerText.includes("does not answer")`)
	if !evaluate[bool](b, drawn("#panel-memory .chart")) {
		t.Error("what was there is no longer shown")
	}
	b.press(`nav a[href="/targets"]`)
	b.wait(`document.querySelector("main .empty")?.innerText.includes("Waiting")`)
	b.shot("away")

	c.start()
	b.wait(`document.querySelector(".gone") === null && document.querySelectorAll(".targets tbody tr").length === 3`)
}
