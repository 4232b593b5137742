package containers

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/testkubelet"
)

func TestParseRules(t *testing.T) {
	got := rulesOf(t, `
profile: lean
timestamps: honour
max-age: 90s
labels: {cluster: prod, zone: 1}
pod-labels: [app.kubernetes.io/*, team]
pod-annotations: owner
series:
  - keep: container_memory_*
    where: {container: .+, pod: ""}
  - drop: go_.*|process_.*
    value: 0
label-rules:
  - metric: container_*
    drop: [id, name]
    sum: true
  - rename: {a: b}
  - keep: c
`)
	want := Rules{
		Profile: "lean", Timestamps: Honour, MaxAge: 90 * time.Second,
		Static: map[string]string{"cluster": "prod", "zone": "1"},
		Pods:   PodRules{Labels: []string{"app.kubernetes.io/*", "team"}, Annotations: []string{"owner"}},
		Series: []SeriesRule{
			{Metric: "container_memory_*", Where: map[string]string{"container": ".+", "pod": ""}, Keep: true, Origin: "rules.yml:9"},
			{Metric: "go_.*|process_.*", Value: "0", Origin: "rules.yml:11"},
		},
		Labels: []LabelRule{
			{Metric: "container_*", Drop: []string{"id", "name"}, Sum: true, Origin: "rules.yml:14"},
			{Rename: map[string]string{"a": "b"}, Origin: "rules.yml:17"},
			{Keep: []string{"c"}, Origin: "rules.yml:18"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		if got := rulesOf(t, empty); !reflect.DeepEqual(got, Rules{}) {
			t.Errorf("%q: got %+v", empty, got)
		}
	}
}

// TestDocs: the examples of docs/filter.md are rules, and its tables are the profiles.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/filter.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	examples := 0
	for _, part := range strings.Split(doc, "```yaml\n")[1:] {
		example, _, _ := strings.Cut(part, "```")
		if _, err := ParseRules("example", []byte(example)); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
		examples++
	}
	if examples < 3 {
		t.Errorf("%d examples", examples)
	}
	for name, rules := range profiles {
		_, table, _ := strings.Cut(doc, "\n`"+name+"` leaves out")
		table, _, _ = strings.Cut(table, "\n\n`")
		if rows := strings.Count(table, "\n| `container_") + strings.Count(table, "\n| all "); name != "none" && rows != len(rules) {
			t.Errorf("%s: %d rows, want %d", name, rows, len(rules))
		}
		for _, r := range rules {
			if !strings.Contains(table, strings.ReplaceAll(string(r.Metric), "|", "\\|")) {
				t.Errorf("%s: %s is not in its table", name, r.Metric)
			}
		}
	}
}

func TestParseRulesErrors(t *testing.T) {
	for text, want := range map[string]string{
		"profil: x":                             `rules.yml:1: "profil": there is no such setting`,
		"profile: x":                            `rules.yml: no profile is called "x": there are default, lean, none`,
		"profile: [x]":                          `rules.yml:1: want one value`,
		"profile:":                              `rules.yml:1: want one value`,
		"profile: lean\nprofile: none":          `rules.yml:2: profile: given twice`,
		"[]":                                    `rules.yml:1: want a group of settings`,
		"a: [":                                  `rules.yml: yaml: line 1: did not find expected node content`,
		"profile: none\n---\nprofile: none":     `rules.yml:2: a second document`,
		"timestamps: maybe":                     `rules.yml: no way with timestamps is called "maybe"`,
		"max-age: 5":                            `rules.yml:1: "5" is no time such as 90s or 5m`,
		"labels: {a-b: 1}":                      `rules.yml: "a-b" is not the name of a label`,
		"labels: [a]":                           `rules.yml:1: want a group of names with values`,
		"labels: {a: 1, a: 2}":                  `rules.yml:1: a: given twice`,
		"series: {drop: a}":                     `rules.yml:1: want a list`,
		"series:\n- {drop: a, keep: b}":         `rules.yml:2: a rule for series has one of drop and keep`,
		"series:\n- {where: {a: b}}":            `rules.yml:2: a rule for series has one of drop and keep`,
		"series:\n- drop: a\n- drop: '('":       `rules.yml:3: "(" is not a regular expression: error parsing regexp: missing closing )`,
		"series:\n- drop: ''":                   `rules.yml:2: a pattern that is empty: "*" is for all metrics`,
		"series:\n- {drop: a, where: {b: '['}}": `rules.yml:2: label b: "[" is not a regular expression`,
		"series:\n- {drop: a, where: {__name__: b}}": `rules.yml:2: "__name__" is no label that a rule can ask for`,
		"series:\n- {drop: a, value: x}":             `rules.yml:2: value "x" is not a number`,
		"series:\n- {drop: a, value: ''}":            `rules.yml:2: an empty value is no number`,
		"series:\n- {drop: a, were: {b: c}}":         `rules.yml:2: "were": there is no such setting`,
		"label-rules:\n- {drop: a, keep: b}":         `rules.yml:2: a rule for labels has one of drop, keep and rename`,
		"label-rules:\n- {metric: a}":                `rules.yml:2: a rule for labels has one of drop, keep and rename`,
		"label-rules:\n- {rename: {a: b-c}}":         `rules.yml:2: "b-c" is not the name of a label`,
		"label-rules:\n- {rename: {a: c, b: c}}":     `rules.yml:2: a and b both become c`,
		"label-rules:\n- {drop: __name__}":           `rules.yml:2: "__name__" is no label that a rule can change`,
		"label-rules:\n- {drop: a, sum: perhaps}":    `rules.yml:2: want true or false`,
		"x: 1\ny: 2": "rules.yml:1: \"x\": there is no such setting\nrules.yml:2: \"y\": there is no such setting",
		"pod-labels: &a [x]\npod-annotations: *a\n":   `rules.yml:2: want a list`,
		"series:\n- {drop: a, where: {b: [c]}}":       `rules.yml:2: want one value`,
		"label-rules:\n- {metric: '(', drop: [a, b]}": `rules.yml:2: "(" is not a regular expression`,
	} {
		_, err := ParseRules("rules.yml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got error %v, want %s", text, err, want)
		}
	}
}

func TestParseOneRule(t *testing.T) {
	s, err := ParseSeriesRule("--filter.series", "{drop: a, where: {b: c}}")
	if want := (SeriesRule{Metric: "a", Where: map[string]string{"b": "c"}, Origin: "--filter.series"}); err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, %v", s, err)
	}
	l, err := ParseLabelRule("--filter.labels", "{drop: a}")
	if want := (LabelRule{Drop: []string{"a"}, Origin: "--filter.labels"}); err != nil || !reflect.DeepEqual(l, want) {
		t.Errorf("got %+v, %v", l, err)
	}
	for _, text := range []string{"", "drop", "{drop: '('}", "{drap: a}", "{", "{metric: a}"} {
		if _, err := ParseSeriesRule("--x", text); err == nil || !strings.HasPrefix(err.Error(), "--x: ") {
			t.Errorf("series rule %q: %v", text, err)
		}
		if _, err := ParseLabelRule("--x", text); err == nil && text != "{drop: '('}" {
			t.Errorf("label rule %q: no error", text)
		}
	}
}

func TestCheck(t *testing.T) {
	text := []byte("# TYPE a gauge\na{x=\"1\",y=\"1\"} 1\na{x=\"2\",y=\"1\"} 1\na{x=\"2\",y=\"2\"} 1\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n")
	for rules, want := range map[string]string{
		"":                                    "",
		"label-rules: [{metric: a, drop: y}]": `rules.yml:1: it would make one series of two: a{x="2",y="1"} and a{x="2",y="2"} would both be a{x="2"}; keep a label that tells them apart, or let the rule sum them up (sum: true)`,
		"label-rules: [{metric: a, drop: x, sum: true}]":                                              "",
		"series: [{drop: a, where: {y: '2'}}]\nlabel-rules: [{metric: a, drop: y}]":                   "",
		"label-rules:\n- {metric: b, rename: {x: z}}\n- {metric: b, drop: z}":                         `rules.yml:3: it would make one series of two: b{x="1"} and b{x="2"} would both be b;`,
		"label-rules:\n- {metric: b, drop: x}\n- {metric: b, drop: y}\n- {metric: b, rename: {x: y}}": `rules.yml:2: it would`,
		"label-rules:\n- {metric: a, drop: x, sum: true}\n- {metric: b, keep: y}":                     `rules.yml:3: it would`,
		"label-rules:\n- {metric: a, rename: {x: y}}":                                                 `rules.yml:2: it would make one series of two: a{x="2",y="1"} and a{x="2",y="2"} would both be a{y="2"};`,
	} {
		err := Check(rulesOf(t, rules), expo.Text, text)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", rules, err, want)
		}
	}
	if err := Check(Rules{}, expo.Text, []byte("a 1\na{ 1\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("a bad line: %v", err)
	}
	same := []byte("a{x=\"1\"} 1\na{x=\"1\"} 2\n")
	if err := Check(rulesOf(t, "label-rules: [{drop: y}]"), expo.Text, same); err != nil {
		t.Errorf("twice the same series is the source's fault, not the rule's: %v", err)
	}
}

// TestCheckOfTheKubelet: what may be dropped of its labels, and what not.
func TestCheckOfTheKubelet(t *testing.T) {
	text := []byte(testkubelet.NewNode(5).Text())
	apart := `series: [{drop: "*", where: {pod: "", id: .+}}]` + "\n"
	if err := Check(rulesOf(t, apart+"label-rules: [{drop: [id, name]}]"), expo.Text, text); err != nil {
		t.Error(err)
	}
	if err := Check(rulesOf(t, apart+"label-rules: [{drop: [id, name, image]}]"), expo.Text, text); err == nil {
		t.Error("the rows of a pod and of its sandbox differ in nothing but the image")
	}
}

func TestExplain(t *testing.T) {
	rules := rulesOf(t, "profile: default\ntimestamps: honour\nlabels: {cluster: c}\nseries:\n- {drop: container_memory_*, where: {pod: ''}, value: 0}\nlabel-rules:\n- {drop: id}\n- {rename: {image: from}}\n- {metric: none, drop: pod}")
	f := newFilter(t, rules, podsOf{"shop/web": NewPodLabels("pod_ip", "10.0.0.7")}, "node", "n")
	f.now = func() time.Time { return time.UnixMilli(1700000000000) }
	text := []byte("# TYPE container_memory_rss gauge\n" +
		`container_memory_rss{id="/",node="x",pod=""} 0` + "\n" +
		`container_memory_rss{id="/a",image="i",namespace="shop",node="x",pod="web"} 7 1699999999999` + "\n" +
		`container_memory_rss{id="/b"} 7 1600000000000` + "\n" +
		`container_tasks_state{id="/"} 0` + "\n" +
		`container_spec_x{container="",namespace="",pod=""} 0` + "\n")
	got, err := f.Explain(expo.Text, text, "container_*", 100)
	if err != nil {
		t.Fatal(err)
	}
	want := []Explanation{
		{Series: `container_memory_rss{id="/",node="x",pod=""}`, Rule: "rules.yml:5", Why: `the name fits "container_memory_*", pod="" fits "", the value 0 is 0`},
		{Series: `container_memory_rss{id="/a",image="i",namespace="shop",node="x",pod="web"}`, Kept: true, Why: "no rule fits it",
			Output: `container_memory_rss{from="i",namespace="shop",exported_node="x",pod="web",cluster="c",node="n",pod_ip="10.0.0.7"}`,
			Labels: []string{"id dropped: rules.yml:7", "image renamed from: rules.yml:8", "node renamed exported_node: a label of that name is added", "cluster added: by the rules", "node added: by the source", "pod_ip added: by the pod"}},
		{Series: `container_memory_rss{id="/b"}`, Rule: "timestamps: honour", Why: "its timestamp 1600000000000 is older than 5m0s"},
		{Series: `container_tasks_state{id="/"}`, Rule: "profile default, rule 1", Why: `the name fits "container_(network_tcp_usage_total|network_udp_usage_total|tasks_state|cpu_load_average_10s)"`},
		{Series: `container_spec_x{container="",namespace="",pod=""}`, Rule: "profile default, rule 2",
			Why: `the name fits "container_(spec_.*|file_descriptors|sockets|threads_max|threads|start_time_seconds|last_seen)", namespace="" fits "", pod="" fits ""`},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("got %+v\nwant %+v", got[i], want[i])
		}
	}
	if got, _ := f.Explain(expo.Text, text, "container_memory_rss", 2); len(got) != 2 {
		t.Errorf("got %d, want the first 2", len(got))
	}
	if _, err := f.Explain(expo.Text, text, "(", 2); err == nil {
		t.Error("no error of a bad pattern")
	}
	if f.SeriesIn != 0 {
		t.Error("explaining counts")
	}
}
