package containers

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"

	"watchpost/internal/expo"
	"watchpost/internal/testkubelet"
)

// What the filter does, held to what Prometheus does with the same text.

// point is a sample as Prometheus reads it.
type point struct {
	labels labels.Labels
	value  uint64 // the bits, so that NaN equals itself
	time   int64
	timed  bool
}

func (p point) String() string {
	return fmt.Sprint(p.labels, math.Float64frombits(p.value), p.time, p.timed)
}

// scraped parses a text as a scrape does.
func scraped(format expo.Format, text string) (points []point, err error) {
	p, err := textparse.New([]byte(text), format.ContentType(), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return points, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, ts, v := p.Series()
		q := point{value: math.Float64bits(v), timed: ts != nil}
		if q.timed {
			q.time = *ts
		}
		p.Labels(&q.labels)
		points = append(points, q)
	}
}

// relabelling are the rules of a profile as Prometheus' configuration has them.
func relabelling(tb testing.TB, profile string) (configs []*relabel.Config) {
	tb.Helper()
	rules, err := profileRules(profile)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rules {
		c := relabel.DefaultRelabelConfig
		c.Action, c.NameValidationScheme = relabel.Drop, model.UTF8Validation
		re := string(r.Metric)
		if r.Metric != "" {
			c.SourceLabels = model.LabelNames{model.MetricNameLabel}
		}
		for _, label := range slices.Sorted(func(yield func(string) bool) {
			for k := range r.Where {
				if !yield(k) {
					return
				}
			}
		}) {
			if c.SourceLabels = append(c.SourceLabels, model.LabelName(label)); len(c.SourceLabels) > 1 {
				re += ";"
			}
			re += r.Where[label]
		}
		c.Regex = relabel.MustNewRegexp(re)
		configs = append(configs, &c)
	}
	return configs
}

// adding is a rule that puts a label on series.
func adding(name, value string, where ...string) *relabel.Config {
	c := relabel.DefaultRelabelConfig
	c.Action, c.TargetLabel, c.Replacement, c.NameValidationScheme = relabel.Replace, name, value, model.UTF8Validation
	c.Regex = relabel.MustNewRegexp(".*")
	for i := 0; i < len(where); i += 2 {
		c.SourceLabels = append(c.SourceLabels, model.LabelName(where[i]))
		c.Regex = relabel.MustNewRegexp(strings.TrimPrefix(c.Regex.String(), "^(?s:.*)$") + regexp.QuoteMeta(where[i+1]))
	}
	return &c
}

// knownPods gives the pods of a text addresses.
func knownPods(tb testing.TB, text string) (pods podsOf, ips map[string]string) {
	tb.Helper()
	points, err := scraped(expo.Text, text)
	if err != nil {
		tb.Fatal(err)
	}
	pods, ips = podsOf{}, map[string]string{}
	for _, p := range points {
		if pod := p.labels.Get("pod"); pod != "" {
			key := p.labels.Get("namespace") + "/" + pod
			if ips[key] == "" {
				ips[key] = fmt.Sprintf("10.244.%d.%d", len(ips)/250, len(ips)%250+1)
				pods[key] = NewPodLabels("pod_ip", ips[key])
			}
		}
	}
	return pods, ips
}

// TestAsPrometheusRelabels: of each profile the same series with the same values
// are left as by Prometheus' own relabelling.
func TestAsPrometheusRelabels(t *testing.T) {
	for name, text := range map[string]func(testing.TB) string{
		"generated": func(testing.TB) string { return testkubelet.NewNode(20).Text() },
		"captured":  sample,
	} {
		t.Run(name, func(t *testing.T) {
			text := text(t)
			in, err := scraped(expo.Text, text)
			if err != nil {
				t.Fatal(err)
			}
			pods, ips := knownPods(t, text)
			for profile := range profiles {
				configs := append(relabelling(t, profile), adding("node", "worker-1"), adding("cluster", "prod"))
				var want []string
				for _, p := range in {
					b := labels.NewBuilder(p.labels)
					if !relabel.ProcessBuilder(b, configs...) {
						continue
					}
					if ip := ips[p.labels.Get("namespace")+"/"+p.labels.Get("pod")]; ip != "" {
						b.Set("pod_ip", ip)
					}
					p.labels = b.Labels()
					if p.timed = p.timed && profile == "none"; !p.timed {
						p.time = 0
					}
					want = append(want, p.String())
				}
				out := filtered(t, newFilter(t, Rules{Profile: profile}, pods, "node", "worker-1", "cluster", "prod"), text)
				points, err := scraped(expo.Text, out)
				if err != nil {
					t.Fatal(err)
				}
				if len(points) != len(want) {
					t.Fatalf("%s: %d series, want %d", profile, len(points), len(want))
				}
				seen := make(map[string]bool)
				for i, p := range points {
					// Prometheus leaves out the empty labels as it stores, the parser does not.
					p.labels = p.labels.WithoutEmpty()
					if got, want := p.String(), want[i]; got != want {
						t.Fatalf("%s: got\n%s\nwant\n%s", profile, got, want)
					}
					if p.labels.Get("node") == "" || (p.labels.Get("pod") != "") != (p.labels.Get("pod_ip") != "") {
						t.Errorf("%s: %s lacks a label", profile, p)
					}
					if name, twice := p.labels.HasDuplicateLabelNames(); twice {
						t.Errorf("%s: label %s twice in %s", profile, name, p)
					}
					if seen[p.labels.String()] {
						t.Errorf("%s: twice %s", profile, p)
					}
					seen[p.labels.String()] = true
				}
				if _, err := decoded(out); err != nil {
					t.Errorf("%s: expfmt: %v", profile, err)
				}
			}
		})
	}
}

// TestNoneIsTheInput: without rules the text differs in the added labels alone.
func TestNoneIsTheInput(t *testing.T) {
	text := testkubelet.NewNode(20).Text()
	if out := filtered(t, newFilter(t, Rules{}, nil), text); out != text {
		t.Error("the text is not passed on as it is")
	}
	pods, ips := knownPods(t, text)
	out := filtered(t, newFilter(t, Rules{}, pods, "node", "worker-1"), text)
	for _, ip := range ips {
		out = strings.ReplaceAll(out, `,pod_ip="`+ip+`"`, "")
	}
	if out = strings.ReplaceAll(strings.ReplaceAll(out, `{node="worker-1"}`, ""), `,node="worker-1"`, ""); out != text {
		t.Error("more than the labels was added")
	}
}

// decoded reads a text as client_golang's users do.
func decoded(text string) (map[string]*dto.MetricFamily, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	return p.TextToMetricFamilies(strings.NewReader(text))
}

var fuzzSeeds = []string{
	"# HELP a b\n# TYPE a counter\na{b=\"c\"} 1 2\na NaN\n",
	"{\"a.b\",c=\"d\\\"}\"} 1\n{\"x\\\\\\\"y\"} 2\n",
	"a{b=\"c\",} +Inf\n\n# EOF\n",
	" a { b = \"c\" d=\"e\" }1 17\r\n# TYPE x histogram\nb{le=\"1\"} 1\n",
	"# TYPE a histogram\na_bucket{le=\"1\"} 1 1.5 # {t=\"x\"} 1 2\n# UNIT a_s s\n# EOF\n",
	"# TYPE a gauge\na{node=\"x\",pod=\"web\",namespace=\"shop\",id=\"1\"} 1e5\n# TYPE b summary\nb{quantile=\"1\"} 0\nb_sum 1\n",
}

// refused tells whether an error is of the few things that Prometheus' parser
// takes and the filter does not: docs/design/filter.md.
func refused(text string, err error) bool {
	for line := range strings.Lines(text) {
		if strings.Count(line, `"`)%2 == 1 {
			return true // a newline within quotes
		}
	}
	return strings.Contains(text, "\x00") || !utf8.ValidString(text) || strings.Contains(err.Error(), "a label twice") ||
		strings.Contains(err.Error(), "no label name") && strings.Contains(text, `""`) ||
		strings.Contains(err.Error(), `no metric name in "#`) // a header's name that goes on with other characters
}

// FuzzNone: without rules either the bad line is told, or what comes out is what
// Prometheus reads of the input.
func FuzzNone(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, openMetrics bool) {
		format, eof := expo.Text, ""
		if openMetrics {
			format, eof = expo.OpenMetrics, "# EOF\n"
		}
		for _, labelled := range []bool{false, true} {
			var source []string
			if labelled {
				source = []string{"fuzz_node", "worker-1"}
			}
			filter := newFilter(t, Rules{}, nil, source...)
			out, err := copied(filter, format, text)
			if err != nil {
				if !strings.Contains(err.Error(), "line ") {
					t.Fatalf("%q: the error %v names no line", text, err)
				}
				if _, ok := scraped(format, text); ok == nil && !refused(text, err) {
					t.Fatalf("Prometheus reads %q: %v", text, err)
				}
				return
			}
			if again, err := copied(filter, format, text); err != nil || again != out { // labels are known now
				t.Fatalf("%q became %q, then %q, %v", text, out, again, err)
			}
			got, err := scraped(format, out+eof)
			if err != nil {
				t.Fatalf("%q became %q: %v", text, out, err)
			}
			want, err := scraped(format, text)
			if err != nil {
				continue // read more leniently: spaces, line ends
			}
			if len(got) != len(want) {
				t.Fatalf("%q became %q", text, out)
			}
			for i, w := range want {
				b := labels.NewBuilder(w.labels)
				if labelled {
					if old := w.labels.Get("fuzz_node"); old != "" {
						return
					}
					b.Set("fuzz_node", "worker-1")
				}
				// Prometheus' parser takes blanks before a name for a part of it.
				if name := w.labels.Get(model.MetricNameLabel); got[i].labels.Get(model.MetricNameLabel) != name {
					b.Set(model.MetricNameLabel, strings.TrimLeft(name, " \t"))
				}
				w.labels = b.Labels()
				if got[i].labels = got[i].labels.WithoutEmpty(); got[i].String() != w.String() {
					t.Fatalf("%q became %q: got %s, want %s", text, out, got[i], w)
				}
			}
		}
	})
}

// FuzzRules: whatever the rules and the text are, nothing panics, what comes out
// can be read, and the counts add up.
func FuzzRules(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add(s, "a.*", "b", "c|d", "node", "1", byte(0))
		f.Add(s, "*", "node", ".*", "le", "", byte(255))
	}
	f.Fuzz(func(t *testing.T, text, pattern, label, re, other, value string, bits byte) {
		rules := Rules{
			Profile:    []string{"", "default", "lean", "none"}[bits%4],
			Series:     []SeriesRule{{Metric: Pattern(pattern), Where: map[string]string{label: re}, Value: value, Keep: bits&4 != 0, Origin: "1"}},
			Labels:     []LabelRule{{Drop: []string{other}, Sum: bits&8 != 0, Origin: "2"}},
			Timestamps: []Timestamps{"", Keep, Drop, Honour}[bits>>4%4],
		}
		if bits&64 != 0 {
			rules.Labels = append(rules.Labels, LabelRule{Metric: Pattern(pattern), Rename: map[string]string{label: other}, Origin: "3"})
		}
		filter, err := NewFilter(rules, podsOf{"shop/web": NewPodLabels("pod_ip", "10.0.0.7")}, "node", "n")
		if err != nil {
			return
		}
		format, eof := expo.Text, ""
		if bits&128 != 0 {
			format, eof = expo.OpenMetrics, "# EOF\n"
		}
		_ = Check(rules, format, []byte(text))
		if _, err := filter.Explain(format, []byte(text), "*", 10); err != nil && !strings.Contains(err.Error(), "line ") {
			t.Fatalf("the error %v names no line", err)
		}
		out, err := copied(filter, format, text)
		if err != nil {
			if !strings.Contains(err.Error(), "line ") {
				t.Fatalf("the error %v names no line", err)
			}
			return
		}
		if _, err := scraped(format, out+eof); err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		counts := filter.Counts
		counts.ByRule = slices.Clone(counts.ByRule)
		if again, err := copied(filter, format, text); err != nil || again != out {
			t.Fatalf("%q became %q, then %q, %v", text, out, again, err)
		}
		filter.Counts = counts
		dropped := filter.Stale + filter.Clashes
		for i, c := range filter.ByRule {
			if !filter.Asked()[i].Keep {
				dropped += c.Series
			}
		}
		if bits&8 == 0 && filter.SeriesIn != filter.SeriesOut+dropped || filter.BytesIn != uint64(len(text)) || filter.BytesOut != uint64(len(out)) {
			t.Fatalf("%+v of %d bytes, %d out", filter.Counts, len(text), len(out))
		}
	})
}

// FuzzParseRules: an error names the file, and what is read makes a filter.
func FuzzParseRules(f *testing.F) {
	f.Add("profile: lean\nseries: [{drop: a, where: {b: c}, value: 0}]\nlabel-rules: [{rename: {a: b}}]\nlabels: {a: b}\nmax-age: 5m\n")
	f.Add("a: &b [*b]")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRules("rules.yml", []byte(text))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "rules.yml:") {
					t.Errorf("%q: %q names no file", text, line)
				}
			}
			return
		}
		if _, err := NewFilter(r, nil); err != nil {
			t.Error(err)
		}
	})
}
