package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/cmd/internal/cli"
)

const oldMetrics = `# HELP a_total Help.
# TYPE a_total counter
a_total{dev="x"} 1
a_total{dev="y"} 2
# HELP b Help.
# TYPE b gauge
b 1
# HELP gone Help.
# TYPE gone gauge
gone{n="1"} 1
go_goroutines 3
`

const newMetrics = `# HELP a_total Help.
# TYPE a_total counter
a_total{dev="x",node="n"} 1
# HELP b Help.
# TYPE b counter
b 7
# HELP more Help.
# TYPE more gauge
more 1
`

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/federate?match[]={job=%22a%22}" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(newMetrics))
	}))
	defer served.Close()
	was, is := file("old", oldMetrics), file("new", newMetrics)
	known := file("known", "family-missing gone it was of no use\ntype b it is one\nseries-missing a_total\\{dev=\"y\"\\} no y here\n")
	var many strings.Builder
	for _, n := range "abcdefgh" {
		many.WriteString("m{n=\"" + string(n) + "\"} 1\n")
	}
	long, short := file("long", many.String()), file("short", "m{n=\"a\"} 1\n")
	for _, c := range []struct {
		name string
		args []string
		want []string // in the answer
		not  []string
		err  string
	}{
		{"the same", []string{was, was}, []string{"The old has 3 families with 4 series. The new lacks 0 families and, in others, 0 series; 0 types and 0 sets of labels differ."}, nil, ""},
		{"all that differs", []string{was, is}, []string{
			"family-missing  gone: the old has 1 series\n", "type            b: the old is gauge, the new counter\n", "labels          a_total: the old has [dev], the new [dev node]\n",
			"series-missing  a_total{dev=\"x\"}: always in the old\n", "It has 1 families and, in others, 1 series more.",
		}, []string{"family-added", "value", "goroutines"}, "5 differences"},
		{"what is added", []string{"--added", was, is}, []string{"family-added    more: gauge with 1 series"}, nil, "5 differences"},
		{"a label", []string{"--ignore-label=node,other", was, is}, []string{"series-missing  a_total{dev=\"y\"}"}, []string{"labels  ", "dev=\"x\""}, "3 differences"},
		{"values", []string{"--values", "--ignore-label=node", was, is}, []string{"value           b{}: the old is always 1; the new [7]", "1 values differ."}, nil, "4 differences"},
		{"what is known", []string{"--allow=" + known, "--ignore-label=node", was, is}, []string{"3 differences are known"}, []string{"gone"}, ""},
		{"over HTTP", []string{"--ignore-label=node", was, served.URL + "/federate?match[]={job=%22a%22}"}, []string{"gone"}, nil, "3 differences"},
		{"a limit", []string{"--limit=2", long, short}, []string{"m{n=\"c\"}", "... and 5 more series-missing of m\n"}, []string{"m{n=\"d\"}"}, "7 differences"},
		{"nothing there", []string{was, file("empty", "")}, nil, nil, "there are no metrics"},
		{"not metrics", []string{file("page", "<html>\n"), is}, nil, nil, "page: "},
		{"not found", []string{was, served.URL + "/metrics"}, nil, nil, "HTTP status 404"},
		{"no file", []string{was, filepath.Join(dir, "absent")}, nil, nil, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := toolOutput(t, append([]string{"compare"}, c.args...)...)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%v, want %q", err, c.err)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
			for _, n := range c.not {
				if strings.Contains(out, n) {
					t.Errorf("%q is in\n%s", n, out)
				}
			}
		})
	}
	for _, wrong := range [][]string{
		{"--rounds=0", was, is}, {"--limit=-1", was, is}, {"--allow=" + was, was, is}, {"--allow=" + filepath.Join(dir, "absent"), was, is}, {was, "ftp://a/b"},
	} {
		_, err := toolOutput(t, append([]string{"compare"}, wrong...)...)
		if usage := (*cli.UsageError)(nil); !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// toolOutput is what a command writes.
func toolOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	f := newFlags()
	command, err := f.app.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range f.tools {
		if tool.command == command {
			var out bytes.Buffer
			err := tool.run(t.Context(), &out)
			return out.String(), err
		}
	}
	t.Fatalf("no command %q", command)
	return "", nil
}
