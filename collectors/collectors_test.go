package collectors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// tree makes a host of the files given, by their path below its root:
// "proc/loadavg", "sys/class/net/lo/mtu". A path that ends in / is an empty
// folder; a text that begins with "-> " is where a symbolic link points.
func tree(t testing.TB, files map[string]string) hostfs.FS {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		write(t, filepath.Join(root, path), text, strings.HasSuffix(path, "/"))
	}
	return hostfs.FS{
		Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"),
		Root: root, Udev: filepath.Join(root, "run/udev/data"),
	}
}

func write(t testing.TB, path, text string, folder bool) {
	t.Helper()
	dir := filepath.Dir(path)
	if folder {
		dir = path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if target, ok := strings.CutPrefix(text, "-> "); ok {
		err = os.Symlink(target, path)
	} else if !folder {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// on is the default configuration, for a host.
func on(fs hostfs.FS) Config {
	cfg := DefaultConfig()
	cfg.FS = fs
	return cfg
}

// make1 makes a collector as the table does.
func make1(t testing.TB, name string, cfg Config) Collector {
	t.Helper()
	units, err := build(cfg, []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return units[0].collector
}

// render is what a collector says, without its HELP lines.
func render(t testing.TB, c Collector) string {
	t.Helper()
	text, err := renderErr(c)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	return text
}

// renderErr is render for collectors that fail.
func renderErr(c Collector) (string, error) {
	var w expo.Writer
	err := c.Collect(context.Background(), &w)
	var kept strings.Builder
	for line := range strings.Lines(string(w.Bytes())) {
		if !strings.HasPrefix(line, "# HELP ") {
			kept.WriteString(line)
		}
	}
	return kept.String(), err
}

// same compares an exposition with what is wanted, line by line.
func same(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			t.Fatalf("missing from line %d on: %s", i+1, w[i])
		case i >= len(w):
			t.Fatalf("more than wanted from line %d on: %s", i+1, g[i])
		case g[i] != w[i]:
			t.Fatalf("line %d:\n got %s\nwant %s\nin\n%s", i+1, g[i], w[i], got)
		}
	}
}

// values are the samples of an exposition: series to value.
func values(t testing.TB, text string) map[string]float64 {
	t.Helper()
	m := make(map[string]float64)
	sc := expo.NewScanner([]byte(text))
	for sc.Next() {
		l := sc.Line()
		if l.Kind != expo.Sample {
			continue
		}
		v, err := l.Float()
		if err != nil {
			t.Fatal(err)
		}
		series := string(l.Name)
		if len(l.Labels) > 0 {
			series += "{" + string(l.Labels) + "}"
		}
		if _, twice := m[series]; twice {
			t.Fatalf("%s is there twice", series)
		}
		m[series] = v
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

// A part that the host lacks is absent, not broken, and leaves no half families.
func TestEmptyHost(t *testing.T) {
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			if r.name == "ntp" {
				t.Skip("asks a server, which is there or is not, whatever the host")
			}
			text, err := renderErr(make1(t, r.name, on(tree(t, nil))))
			if err != nil && !errors.Is(err, ErrNoData) {
				t.Errorf("a host without it: %v, want ErrNoData", err)
			}
			if err != nil && text != "" {
				t.Errorf("no data, but it says\n%s", text)
			}
		})
	}
}

// What each collector costs on the host that the test runs on, once its files
// are open.
func BenchmarkCollect(b *testing.B) {
	for _, r := range table {
		b.Run(r.name, func(b *testing.B) {
			benchmarkCollect(b, make1(b, r.name, DefaultConfig()))
		})
	}
}

// benchmarkCollect measures a collector in the steady state.
func benchmarkCollect(b *testing.B, c Collector) {
	b.Helper()
	var w expo.Writer
	ctx := context.Background() // by which nothing is shared between collections
	err := c.Collect(ctx, &w)
	if errors.Is(err, ErrNoData) || errors.Is(err, syscall.ECONNREFUSED) {
		b.Skip(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(expo.Text)
		if err := c.Collect(ctx, &w); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(w.Bytes())))
}
