package containers

import (
	"fmt"
	"strings"

	"watchpost/internal/expo"
)

// Explanation tells what the filter does with one series, and why.
type Explanation struct {
	Series string   `json:"series"`           // as the source has it
	Kept   bool     `json:"kept"`             // else it is dropped
	Rule   string   `json:"rule"`             // where the rule that decided was read; "" where none fits
	Why    string   `json:"why"`              // its conditions that the series fits
	Output string   `json:"output,omitempty"` // the series as it is passed on
	Labels []string `json:"labels,omitempty"` // what became of its labels
}

// Explain tells what the filter does with the series of a text whose metric's name
// fits a pattern, most of them at the most. It may be called at any time, also
// while a text goes through the filter, where its Pods may.
func (f *Filter) Explain(format expo.Format, text []byte, metric Pattern, most int) ([]Explanation, error) {
	match, err := metric.match()
	if err != nil {
		return nil, err
	}
	g, err := NewFilter(f.rules, f.pods, f.added...)
	if err != nil {
		return nil, err
	}
	g.now, g.about = f.now, f.about
	var told []Explanation
	err = g.visit(format, text, func(x *series) {
		if len(told) < most && match(x.v.name) {
			told = append(told, g.explain(x))
		}
	})
	return told, err
}

func (f *Filter) explain(x *series) Explanation {
	e := Explanation{Series: x.String(), Why: "no rule fits it"}
	rule, keep := f.keeps(x)
	if e.Kept = keep; rule >= 0 {
		r := &f.series[rule]
		e.Rule, e.Why = r.Origin, x.conditions(r)
	}
	if keep && x.stale {
		e.Kept, e.Rule = false, "timestamps: honour"
		e.Why = fmt.Sprintf("its timestamp %s is older than %s", x.text[x.valueEnd+1:x.timeEnd], f.rules.maxAge())
	}
	if !e.Kept {
		return e
	}
	pod := f.podOf(x)
	e.Output = string(f.identity(nil, x, pod))
	e.Labels = f.changes(x.v, x.s, pod)
	return e
}

// conditions tells what of a rule a series fits.
func (x *series) conditions(r *seriesRule) string {
	var fits []string
	if r.Metric != "" {
		fits = append(fits, fmt.Sprintf("the name fits %q", string(r.Metric)))
	}
	for _, m := range r.labels {
		value := ""
		for i, l := range x.s.labels {
			if l.name == m.label {
				value = expo.Unescape(x.value(i))
			}
		}
		fits = append(fits, fmt.Sprintf("%s=%q fits %q", m.label, value, r.Where[m.label]))
	}
	if r.value != nil {
		fits = append(fits, fmt.Sprintf("the value %s is %s", x.number(), r.Value))
	}
	if len(fits) == 0 {
		return "the rule is for all series"
	}
	return strings.Join(fits, ", ")
}

// changes tells what becomes of a series' labels, rule by rule.
func (f *Filter) changes(v *verdict, s *shape, pod *PodLabels) (told []string) {
	labels := make([]shapeLabel, len(s.labels))
	for i, l := range s.labels {
		labels[i] = shapeLabel{name: l.name, as: l.name}
	}
	for _, rule := range v.labels {
		before := append([]shapeLabel(nil), labels...)
		rule.apply(labels)
		for i, l := range labels {
			switch was := before[i]; {
			case l.drop && !was.drop:
				told = append(told, fmt.Sprintf("%s dropped: %s", was.as, rule.Origin))
			case l.as != was.as:
				told = append(told, fmt.Sprintf("%s renamed %s: %s", was.as, l.as, rule.Origin))
			}
		}
		if rule.Sum {
			told = append(told, "added up with those that are the same then: "+rule.Origin)
		}
	}
	for _, l := range s.labels {
		if l.added && !l.drop && (f.source.has(l.as) || pod != nil && pod.has(l.as)) {
			told = append(told, fmt.Sprintf("%s renamed %s: a label of that name is added", l.as, exported(s, l.as)))
		}
	}
	for _, name := range f.source.names {
		from := "the source"
		if _, static := f.rules.Static[name]; static {
			from = "the rules"
		}
		told = append(told, fmt.Sprintf("%s added: by %s", name, from))
	}
	if pod != nil {
		for _, name := range pod.names {
			told = append(told, name+" added: by the pod")
		}
	}
	return told
}
