package kube

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/expo"
)

// written is what a function writes as the only family of an object.
func written(trueOnly bool, labels []string, write func(*Lines)) string {
	l := Lines{family: expo.Gauge("m", "", labels...), trueOnly: trueOnly}
	l.identify([]string{"o"}, []string{"x"})
	write(&l)
	return string(l.text)
}

func TestLines(t *testing.T) {
	for name, tc := range map[string]struct {
		trueOnly bool
		labels   []string
		write    func(*Lines)
		want     string
	}{
		"escapes": {false, []string{"a"}, func(l *Lines) { l.Add(1, "\"\\\n\xff\t") }, `m{o="x",a="\"\\\n` + "\uFFFD\t" + `"} 1` + "\n"},
		"states": {false, []string{"a", "s"}, func(l *Lines) { l.OneOf([]string{"on", "off"}, "off", "q") },
			`m{o="x",a="q",s="on"} 0` + "\n" + `m{o="x",a="q",s="off"} 1` + "\n"},
		"true state only":           {true, []string{"s"}, func(l *Lines) { l.OneOf([]string{"on", "off"}, "off") }, `m{o="x",s="off"} 1` + "\n"},
		"no state":                  {true, []string{"s"}, func(l *Lines) { l.OneOf([]string{"on", "off"}, "?") }, ""},
		"statuses as they are":      {false, []string{"s"}, func(l *Lines) { l.Status("TRUE") }, `m{o="x",s="true"} 0` + "\n" + `m{o="x",s="false"} 0` + "\n" + `m{o="x",s="unknown"} 0` + "\n"},
		"milli rounds up":           {false, nil, func(l *Lines) { l.Milli(quantity.MustParse("1100u")) }, `m{o="x"} 0.002` + "\n"},
		"milli of what is too much": {false, nil, func(l *Lines) { l.Milli(quantity.MustParse("100Pi")) }, `m{o="x"} 1.125899906842624e+17` + "\n"},
		"whole rounds up":           {false, nil, func(l *Lines) { l.Whole(quantity.MustParse("1500m")) }, `m{o="x"} 2` + "\n"},
		"year 1":                    {false, nil, func(l *Lines) { l.Time(meta.Time{}) }, `m{o="x"} -62135596800` + "\n"},
		"pairs":                     {false, []string{"a"}, func(l *Lines) { l.AddPairs(1, []pair{{"b", "2"}}, "1") }, `m{o="x",a="1",b="2"} 1` + "\n"},
		"pairs that all samples have": {false, nil, func(l *Lines) {
			l.addIdentity([]pair{{"b", "1"}})
			l.AddPairs(1, []pair{{"b", "1"}, {"c", "2"}})
		}, `m{o="x",b="1",c="2"} 1` + "\n"},
		"the first of equal series": {false, []string{"a"}, func(l *Lines) {
			l.Add(1, "p")
			l.Add(2, "pp")
			l.Add(3, "p")
			l.Add(4, `p"} `)
		}, `m{o="x",a="p"} 1` + "\n" + `m{o="x",a="pp"} 2` + "\n" + `m{o="x",a="p\"} "} 4` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := written(tc.trueOnly, tc.labels, tc.write); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// TestLinesRepeatMuch has families on both sides of the number of series from
// which on they are looked up, one after the other.
func TestLinesRepeatMuch(t *testing.T) {
	few, many := expo.Gauge("few", "", "a"), expo.Gauge("many", "", "a")
	l := Lines{}
	for object := range 3 {
		l.text = l.text[:0]
		l.identify([]string{"o"}, []string{fmt.Sprint(object)})
		var want strings.Builder
		for _, f := range []struct {
			*expo.Family
			n int
		}{{many, 1000}, {few, fewSeries}, {many, fewSeries + 1}, {few, fewSeries + 2}} {
			l.family = f.Family
			for round := range 3 {
				for i := range f.n {
					l.Add(float64(round), fmt.Sprint(i))
					if round == 0 {
						fmt.Fprintf(&want, "%s{o=\"%d\",a=\"%d\"} 0\n", f.Name(), object, i)
					}
				}
			}
		}
		if got := string(l.text); got != want.String() {
			t.Fatalf("object %d: got\n%s\nwant\n%s", object, got, want.String())
		}
	}
}

func TestLinesNumberOfValues(t *testing.T) {
	defer func() {
		if r := recover(); r != "BUG: kube: m has 2 labels, got 1 values" {
			t.Errorf("recovered %v", r)
		}
	}()
	written(false, []string{"a", "b"}, func(l *Lines) { l.Add(1, "x") })
}

func TestDigits(t *testing.T) {
	var l Lines
	for range 2 {
		for _, n := range []int64{0, 16, -1, 300, 8080, math.MaxInt64, math.MinInt64, 0} {
			if got := l.Digits(n); got != fmt.Sprint(n) {
				t.Errorf("Digits(%d) = %q", n, got)
			}
		}
	}
}

func TestOfResource(t *testing.T) {
	for name, want := range map[v1.ResourceName][2]string{
		"cpu": {"cpu", "core"}, "memory": {"memory", "byte"}, "storage": {"storage", "byte"}, "ephemeral-storage": {"ephemeral_storage", "byte"},
		"hugepages-1Gi": {"hugepages_1Gi", "byte"}, "attachable-volumes-aws-ebs": {"attachable_volumes_aws_ebs", "byte"},
		"nvidia.com/gpu": {"nvidia_com_gpu", "integer"}, "example.com/a_B-1": {"example_com_a_B_1", "integer"},
		"pods": {}, "gpu": {}, "": {}, "alpha.kubernetes.io/nvidia-gpu": {}, "requests.example.com/x": {}, "exämple.com/x": {}, "/": {}, "a/b/c": {},
	} {
		if label, unit := ofResource(name); label != want[0] || unit != want[1] {
			t.Errorf("%q is %q in %q, want %q", name, label, unit, want)
		}
	}
}
