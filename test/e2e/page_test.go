//go:build e2e

package e2e

// The collector's page in a real browser, against a real collector that scrapes this host.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	builtPage(t)
	c.start()
	return c
}

// dist is where `make web` puts the page, and from where it is embedded.
const dist = "../../internal/webui/dist"

// builtPage fails where the page that a collector would embed is not there, or is not made of the present sources: what
// the test then waits for may not be in it. Tests build the collector themselves, but not its page, which needs npm.
func builtPage(t *testing.T) {
	t.Helper()
	of, err := os.ReadFile(dist + "/.sources")
	if err != nil {
		t.Fatalf("the page is not built; run `make web`: %v", err)
	}
	const web = "../../web"
	names := []string{"build.mjs", "package.json", "package-lock.json", "tsconfig.json"}
	if err := filepath.WalkDir(web+"/src", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(filepath.ToSlash(path), web+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	// As web/build.mjs does it.
	hash := sha256.New()
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(web, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(b), b)
	}
	if present := hex.EncodeToString(hash.Sum(nil)); present != string(of) {
		t.Fatalf("the page in internal/webui/dist is made of other sources than those in web/ (%.12s, not %.12s); run `make -B web`", of, present)
	}
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

// run runs one step of the driver. However it fails, it ends.
func run[T any](b *browser, step chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(b.ctx, patience, fmt.Errorf("the browser has not done it within %s", patience))
	defer cancel()
	v, err := chromedp.Run(ctx, step)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return v, err
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if _, err := run(b, chromedp.Steps(steps...)); err != nil {
		b.t.Fatal(err)
	}
}

func evaluate[T any](b *browser, expr string) T {
	b.t.Helper()
	v, err := run(b, chromedp.Evaluate[T](expr))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// The steps below ask the page itself what is there. The driver's own queries keep a copy of the whole document, which
// every change of it has to reach; where one is lost they look for what is there in vain, and without an end.

// wait is until the expression is true in the page. One that cannot be evaluated is not true: what it speaks of may not
// be there yet.
func (b *browser) wait(expr string) {
	b.t.Helper()
	await[bool](b, expr, "Boolean("+expr+")")
}

// await is until the expression has a value that is neither null nor false; what is for people.
func await[T any](b *browser, what, expr string) (v T) {
	b.t.Helper()
	var found *T
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		found, err = run(b, chromedp.Evaluate[*T]("("+expr+") || null"))
		if err == nil && found != nil {
			return *found
		}
	}
	if err == nil {
		err = fmt.Errorf("not within %s", patience)
	}
	text, _ := run(b, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	b.t.Fatalf("waiting for %s: %v\nthe page says:\n%s", what, err, text)
	return v
}

func (b *browser) open(path string) {
	b.t.Helper()
	if _, err := run(b, chromedp.Navigate(b.base+path)); err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
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

// press clicks at the middle of the first element that matches, once it is there, rests, and is under nothing else.
func (b *browser) press(selector string) {
	b.t.Helper()
	where := fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		if (!e) return null;
		e.scrollIntoView({ block: "center", behavior: "instant" });
		const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;
		return !e.disabled && e.contains(document.elementFromPoint(x, y)) && [x, y];
	})()`, selector)
	var at []float64
	for range 20 { // a page that never rests is pressed where the element was last
		before := at
		at = await[[]float64](b, selector+", to press it", where)
		if slices.Equal(before, at) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// write types into the first element that matches, once it is there.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	await[bool](b, selector+", to write into it", fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e?.focus();
		return e && document.activeElement === e;
	})()`, selector))
	b.do(chromedp.KeyEvent(text))
}

func (b *browser) shot(name string) {
	b.t.Helper()
	png, err := run(b, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("picture %s: %v", name, err)
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

const settled = `document.querySelectorAll(".panel[aria-busy=true], .loading").length === 0`

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
		b.write(".filter", c.node)
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
		// Few points are asked for before all of them.
		b.wait(settled + ` && performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/query_range")).length === 2`)
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
