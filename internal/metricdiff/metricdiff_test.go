package metricdiff

import (
	"slices"
	"strings"
	"testing"
)

// head declares the families of the tests.
const head = `# HELP a_total Help.
# TYPE a_total counter
`

func mustParse(t *testing.T, text string) Exposition {
	t.Helper()
	e, err := Parse([]byte(text))
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
			s := Compare([]Round{{mustParse(t, c.before), mustParse(t, c.ours), mustParse(t, c.after)}})
			var got []string
			for _, d := range s.Differences {
				got = append(got, d.Kind+" "+d.Subject)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// One bad round is enough where the peer never changes, one good round where it does.
func TestCompareRounds(t *testing.T) {
	at := func(v string) Exposition { return mustParse(t, head+"a_total "+v+"\n") }
	constant := []Round{{at("1"), at("1"), at("1")}, {at("1"), at("2"), at("1")}}
	if s := Compare(constant); len(s.Differences) != 1 || s.Differences[0].Kind != ValueDiffers || s.Constant != 1 {
		t.Errorf("constant: %+v", s)
	}
	changing := []Round{{at("1"), at("9"), at("2")}, {at("3"), at("4"), at("5")}}
	if s := Compare(changing); len(s.Differences) != 0 || s.Constant != 0 || s.Series != 1 {
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
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	all, err := ParseAllowed([]byte("# comment\n\nvalue g  a reason in words\nseries-added g\\{x=\"1\"\\} that one\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    Difference
		want string
	}{
		{Difference{Kind: ValueDiffers, Subject: `g{x="1"}`}, "a reason in words"},
		{Difference{Kind: ValueDiffers, Subject: `gg{x="1"}`}, ""},
		{Difference{Kind: ValueFar, Subject: `g{x="1"}`}, ""},
		{Difference{Kind: SeriesAdded, Subject: `g{x="1"}`}, "that one"},
		{Difference{Kind: SeriesAdded, Subject: `g{x="2"}`}, ""},
	} {
		if got := Reason(all, c.d); got != c.want {
			t.Errorf("%v: %q, want %q", c.d, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"value g":        "want kind, pattern and reason",
		"\nodd g reason": `line 2: kind "odd"`,
		"value ( reason": "missing closing )",
	} {
		if _, err := ParseAllowed([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseWithout(t *testing.T) {
	e, err := Parse([]byte("# TYPE g gauge\ng{pod=\"a\",node=\"n\"} 1\ng{pod=\"a\",node=\"m\"} 2\n"), "node")
	if err != nil {
		t.Fatal(err)
	}
	if got := e["g"].series; len(got) != 1 || got[`g{pod="a"}`] != 1 || e["g"].labels["node"] {
		t.Errorf("%+v", e["g"])
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head+"a_total{x=\"1\"} 1\n", "x")
	f.Add("# TYPE a counter\na_total 1\na_created 2\n# EOF\n", "")
	f.Fuzz(func(t *testing.T, text, without string) {
		e, err := Parse([]byte(text), without)
		if err != nil {
			return
		}
		if s := Compare([]Round{{e, e, e}}); len(s.Differences) > 0 {
			t.Errorf("differs from itself: %+v", s.Differences)
		}
	})
}
