package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// head declares the families of the tests.
const head = `# HELP a_total Help.
# TYPE a_total counter
`

func mustParse(t *testing.T, text string) exposition {
	t.Helper()
	e, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCompare(t *testing.T) {
	gauge := "# HELP g Help.\n# TYPE g gauge\n"
	for _, c := range []struct {
		name                string
		before, ours, after string
		want                []string // kind subject
	}{
		{"equal", head + "a_total 1\n", "# HELP a_total Other help.\n# TYPE a_total counter\na_total 1\n", head + "a_total 1\n", nil},
		{"equal, labels in another order", gauge + "g{x=\"1\",y=\"2\"} 1\n", gauge + "g{y=\"2\",x=\"1\"} 1\n", gauge + "g{x=\"1\",y=\"2\"} 1\n", nil},
		{"NaN is NaN", gauge + "g NaN\n", gauge + "g NaN\n", gauge + "g NaN\n", nil},
		{"family missing", head + "a_total 1\n", "", head + "a_total 1\n", []string{"family-missing a_total"}},
		{"family comes and goes", head + "a_total 1\n", "", "", nil},
		{"family added", "", head + "a_total 1\n", "", []string{"family-added a_total"}},
		{"declared without series is not there", "", head, "", nil},
		{"type", gauge + "g 1\n", "# HELP g Help.\n# TYPE g untyped\ng 1\n", gauge + "g 1\n", []string{"type g"}},
		{"help", gauge + "g 1\n", "# TYPE g gauge\ng 1\n", gauge + "g 1\n", []string{"help g"}},
		{"labels", gauge + "g{x=\"1\"} 1\n", gauge + "g{z=\"1\"} 1\n", gauge + "g{x=\"1\"} 1\n",
			[]string{"labels g", `series-missing g{x="1"}`, `series-added g{z="1"}`}},
		{"series comes and goes", gauge + "g{x=\"1\"} 1\ng{x=\"2\"} 1\n", gauge + "g{x=\"1\"} 1\n", gauge + "g{x=\"1\"} 1\n", nil},
		{"constant", gauge + "g 1\n", gauge + "g 2\n", gauge + "g 1\n", []string{"value g{}"}},
		{"counter between", head + "a_total 10\n", head + "a_total 11\n", head + "a_total 12\n", nil},
		{"counter outside", head + "a_total 10\n", head + "a_total 13\n", head + "a_total 12\n", []string{"range a_total{}"}},
		{"gauge of the same size", gauge + "g 10\n", gauge + "g 13\n", gauge + "g 12\n", nil},
		{"gauge in another unit", gauge + "g 10240\n", gauge + "g 10\n", gauge + "g 12288\n", []string{"range g{}"}},
		{"about the program", "go_x 1\n", "process_y 1\n", "go_x 1\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := compare([]round{{mustParse(t, c.before), mustParse(t, c.ours), mustParse(t, c.after)}})
			var got []string
			for _, d := range s.differences {
				got = append(got, d.kind+" "+d.subject)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// One bad round is enough where the peer never changes, one good round where it does.
func TestCompareRounds(t *testing.T) {
	at := func(v string) exposition { return mustParse(t, head+"a_total "+v+"\n") }
	constant := []round{{at("1"), at("1"), at("1")}, {at("1"), at("2"), at("1")}}
	if s := compare(constant); len(s.differences) != 1 || s.differences[0].kind != valueDiffers || s.constant != 1 {
		t.Errorf("constant: %+v", s)
	}
	changing := []round{{at("1"), at("9"), at("2")}, {at("3"), at("4"), at("5")}}
	if s := compare(changing); len(s.differences) != 0 || s.constant != 0 || s.series != 1 {
		t.Errorf("changing: %+v", s)
	}
}

func TestParse(t *testing.T) {
	// OpenMetrics: the counter's family has no _total, untyped is unknown.
	e := mustParse(t, "# TYPE a counter\na_total 1\na_created 2\n# TYPE u unknown\nu 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\nbare 1\n# EOF\n")
	for name, n := range map[string]int{"a_total": 2, "u": 1, "h": 3, "bare": 1} {
		if e[name] == nil || len(e[name].series) != n {
			t.Errorf("%s is %+v, want %d series", name, e[name], n)
		}
	}
	if e["u"].kind != "untyped" || e["bare"].kind != "untyped" || e["a_total"].kind != "counter" {
		t.Error("types are wrong")
	}
	for text, want := range map[string]string{
		"x{a=\"1\",b=\"2\"} 1\nx{b=\"2\",a=\"1\"} 2\n": "comes twice",
		"x{ 1\n":   "no closing brace",
		"x more\n": "not a number",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	all, err := parseAllowed([]byte("# comment\n\nvalue g  a reason in words\nseries-added g\\{x=\"1\"\\} that one\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    difference
		want string
	}{
		{difference{kind: valueDiffers, subject: `g{x="1"}`}, "a reason in words"},
		{difference{kind: valueDiffers, subject: `gg{x="1"}`}, ""},
		{difference{kind: valueFar, subject: `g{x="1"}`}, ""},
		{difference{kind: seriesAdded, subject: `g{x="1"}`}, "that one"},
		{difference{kind: seriesAdded, subject: `g{x="2"}`}, ""},
	} {
		if got := reason(all, c.d); got != c.want {
			t.Errorf("%v: %q, want %q", c.d, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"value g":        "want kind, pattern and reason",
		"\nodd g reason": `line 2: kind "odd"`,
		"value ( reason": "missing closing )",
	} {
		if _, err := parseAllowed([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := parseAllowed(builtinAllowed); err != nil {
		t.Errorf("built-in list: %v", err)
	}
}

// Files stand in for programs.
func TestRunOnFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	first, second := file("1.txt", head+"a_total 1\ngo_x 1\n"), file("2.txt", head+"a_total 3\ngo_x 1\n")
	allowed := file("allowed.txt", "family-added more it is new\n")
	run := func(ours string) (string, error) {
		o := options{peer: first + "," + second, ours: file("ours.txt", ours), allowed: allowed, rounds: 1}
		var out bytes.Buffer
		err := o.run(context.Background(), &out)
		return out.String(), err
	}
	out, err := run(head + "a_total 2\n# HELP more Help.\nmore 1\n")
	if err != nil || !strings.Contains(out, "allowed  family-added") || !strings.Contains(out, "only the peer has: [go_x]") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = run(head + "a_total 4\n")
	if err == nil || !strings.Contains(out, "WRONG    range") || !strings.Contains(out, "1 of them not allowed") {
		t.Errorf("%v\n%s", err, out)
	}
}
