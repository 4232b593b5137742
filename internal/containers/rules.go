package containers

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/promname"
)

// Rules say which series are passed on and what becomes of their labels and
// timestamps. The zero value passes everything on as it is.
type Rules struct {
	// Profile names a set of rules that are asked after Series: "none", "default"
	// (what kube-prometheus drops) or "lean" (what kube-prometheus-stack drops).
	// Empty is none.
	Profile string
	// Series are asked in order; the first that fits a series decides. A series
	// that none fits is kept.
	Series []SeriesRule
	// Labels are applied one after another to the series that are kept.
	Labels []LabelRule
	// Static labels are put on every series.
	Static map[string]string
	// Pods says which labels and annotations of pods become labels.
	Pods PodRules
	// Timestamps says what becomes of the samples' own. Empty is as the profile has
	// it: none keeps them, the others drop them.
	Timestamps Timestamps
	// MaxAge is how old a timestamp may be that is honoured; 0 is five minutes, as
	// far as Prometheus looks back for the latest sample of a series.
	MaxAge time.Duration
}

// Timestamps says what becomes of the samples' own timestamps.
type Timestamps string

// The ways with timestamps.
const (
	Keep Timestamps = "keep" // they are passed on
	Drop Timestamps = "drop" // they are left out; the scraper puts the time of its scrape
	// Honour passes them on and leaves out the series whose timestamp is older than
	// Rules.MaxAge: nobody has measured them since.
	Honour Timestamps = "honour"
)

// SeriesRule keeps or drops series.
type SeriesRule struct {
	Metric Pattern           // of their names
	Where  map[string]string // RE2 by label, anchored; a label that is absent is empty
	Value  string            // a number that the sample must be equal to; "" is any
	Keep   bool              // else they are dropped
	Origin string            // where the rule was read, for errors and explanations
}

// LabelRule drops, keeps or renames labels. It has one of Drop, Keep and Rename.
type LabelRule struct {
	Metric Pattern
	Drop   []string          // these
	Keep   []string          // all but these are dropped
	Rename map[string]string // from old to new; a label that had the new name is dropped
	// Sum says that the samples of series that become equal are added up. Their
	// timestamps and exemplars are left out. Otherwise the first of them is passed
	// on, and the others are counted as clashes.
	Sum    bool
	Origin string
}

// PodRules say which labels and annotations of a pod become labels of its series,
// under kube-state-metrics' names: label_app, annotation_team. The keys may hold
// stars, each for any text.
type PodRules struct {
	Labels, Annotations []string
}

// Render makes the labels of a pod: pairs, names and values in turn, and what the
// rules choose of its labels and annotations.
func (r PodRules) Render(labels, annotations map[string]string, pairs ...string) *PodLabels {
	pairs = slices.Clone(pairs)
	for name, value := range promname.Labels(labelPrefix, labels, r.Labels) {
		pairs = append(pairs, name, value)
	}
	for name, value := range promname.Labels(annotationPrefix, annotations, r.Annotations) {
		pairs = append(pairs, name, value)
	}
	return NewPodLabels(pairs...)
}

// Adds tells whether Render may choose a label of that name.
func (r PodRules) Adds(name string) bool {
	return len(r.Labels) > 0 && strings.HasPrefix(name, labelPrefix) || len(r.Annotations) > 0 && strings.HasPrefix(name, annotationPrefix)
}

const labelPrefix, annotationPrefix = "label_", "annotation_"

// Pattern is for the names of metrics. One that is made of the characters of
// names, * (any text) and ? (any character) is a glob; all else is RE2, anchored
// as Prometheus does. An empty pattern is for all.
type Pattern string

// match compiles the pattern.
func (p Pattern) match() (func(name string) bool, error) {
	if p == "" {
		return func(string) bool { return true }, nil
	}
	re := string(p)
	if strings.Trim(re, globBytes) == "" {
		if !strings.ContainsAny(re, "*?") {
			return func(name string) bool { return name == re }, nil
		}
		re = strings.NewReplacer("*", ".*", "?", ".").Replace(re)
	}
	compiled, err := anchored(re)
	if err != nil {
		return nil, err
	}
	return compiled.MatchString, nil
}

const globBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:*?"

// anchored compiles RE2 that must match the whole text.
func anchored(re string) (*regexp.Regexp, error) {
	compiled, err := regexp.Compile("^(?s:" + re + ")$")
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression: %w", re, err)
	}
	return compiled, nil
}

// seriesRule is a SeriesRule that can be asked.
type seriesRule struct {
	SeriesRule
	match  func(name string) bool
	labels []labelMatch // in order of the labels' names
	value  []byte       // as the text is likely to have it, nil for any
	number float64
}

// labelRule is a LabelRule that can be applied.
type labelRule struct {
	LabelRule
	match func(name string) bool
}

// compile checks the rules whole. The errors name the rule.
func (r *Rules) compile() (series []seriesRule, labels []labelRule, err error) {
	profile, err := profileRules(r.Profile)
	if err != nil {
		return nil, nil, err
	}
	switch r.Timestamps {
	case "", Keep, Drop, Honour:
	default:
		return nil, nil, fmt.Errorf("no way with timestamps is called %q: there are keep, drop, honour", string(r.Timestamps))
	}
	for _, s := range slices.Concat(r.Series, profile) {
		c, err := s.compile()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.Origin, err)
		}
		series = append(series, c)
	}
	for _, l := range r.Labels {
		c := labelRule{LabelRule: l}
		if c.match, err = l.Metric.match(); err == nil {
			err = l.check()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", l.Origin, err)
		}
		labels = append(labels, c)
	}
	return series, labels, nil
}

// timestamps is what is done with them, profile and all.
func (r *Rules) timestamps() Timestamps {
	switch {
	case r.Timestamps != "":
		return r.Timestamps
	case r.Profile == "" || r.Profile == "none":
		return Keep
	}
	return Drop
}

func (r *Rules) maxAge() time.Duration {
	if r.MaxAge > 0 {
		return r.MaxAge
	}
	return 5 * time.Minute // Prometheus' --query.lookback-delta
}

// static are the static labels, names and values in turn.
func (r *Rules) static() (pairs []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Static)) {
		pairs = append(pairs, name, r.Static[name])
	}
	return pairs
}

func (s SeriesRule) compile() (c seriesRule, err error) {
	c.SeriesRule = s
	if c.match, err = s.Metric.match(); err != nil {
		return c, err
	}
	for _, label := range slices.Sorted(maps.Keys(s.Where)) {
		if label == "" || label == "__name__" {
			return c, fmt.Errorf("%q is no label that a rule can ask for; the name is asked for by its pattern", label)
		}
		fits, err := valueMatch(s.Where[label])
		if err != nil {
			return c, fmt.Errorf("label %s: %w", label, err)
		}
		c.labels = append(c.labels, labelMatch{label, fits})
	}
	if s.Value != "" {
		if c.number, err = strconv.ParseFloat(s.Value, 64); err != nil {
			return c, fmt.Errorf("value %q is not a number", s.Value)
		}
		c.value = expo.AppendFloat(nil, c.number)
	}
	return c, nil
}

// hasValue tells whether a sample's value is the one asked for.
func (s *seriesRule) hasValue(value []byte) bool {
	if string(value) == string(s.value) {
		return true
	}
	number, ok := parseFloat(value)
	return ok && (number == s.number || number != number && s.number != s.number)
}

// labelMatch is a condition on one label's value, as it stands in the text.
type labelMatch struct {
	label string
	fits  func(value []byte) bool
}

// valueMatch compiles a condition on a label's value. What a regular expression
// says of a value is remembered, for the first so many values.
func valueMatch(re string) (func([]byte) bool, error) {
	switch {
	case re == "":
		return func(v []byte) bool { return len(v) == 0 }, nil
	case re == ".+":
		return func(v []byte) bool { return len(v) > 0 }, nil
	case regexp.QuoteMeta(re) == re && !strings.ContainsAny(re, "\\\"\n"):
		return func(v []byte) bool { return string(v) == re }, nil
	}
	compiled, err := anchored(re)
	if err != nil {
		return nil, err
	}
	const most, longest = 500, 100
	known := make(map[string]bool)
	return func(v []byte) bool {
		if fits, found := known[string(v)]; found {
			return fits
		}
		fits := compiled.MatchString(expo.Unescape(v))
		if len(known) < most && len(v) < longest {
			known[string(v)] = fits
		}
		return fits
	}, nil
}

func (l *LabelRule) check() error {
	ways := 0
	for _, used := range []bool{len(l.Drop) > 0, len(l.Keep) > 0, len(l.Rename) > 0} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("a rule for labels has one of drop, keep and rename")
	}
	for _, name := range slices.Concat(l.Drop, l.Keep, slices.Collect(maps.Keys(l.Rename)), slices.Collect(maps.Values(l.Rename))) {
		if name == "" || name == "__name__" {
			return fmt.Errorf("%q is no label that a rule can change", name)
		}
	}
	from := make(map[string]string) // by the new name
	for _, old := range slices.Sorted(maps.Keys(l.Rename)) {
		name := l.Rename[old]
		if !validLabel(name) {
			return fmt.Errorf("%q is not the name of a label", name)
		}
		if other, taken := from[name]; taken {
			return fmt.Errorf("%s and %s both become %s", other, old, name)
		}
		from[name] = old
	}
	return nil
}

// apply does to labels what the rule says.
func (l *LabelRule) apply(labels []shapeLabel) {
	renamed := make(map[string]bool) // new names
	for i := range labels {
		s := &labels[i]
		if s.drop {
			continue
		}
		if slices.Contains(l.Drop, s.as) || len(l.Keep) > 0 && !slices.Contains(l.Keep, s.as) {
			s.drop = true
		} else if l.Rename[s.as] != "" {
			renamed[l.Rename[s.as]] = true
		}
	}
	for i := range labels {
		switch s := &labels[i]; {
		case s.drop:
		case l.Rename[s.as] != "":
			s.as = l.Rename[s.as]
		case renamed[s.as]:
			s.drop = true
		}
	}
}

func validLabel(name string) bool {
	return expo.ValidName(name) && !strings.Contains(name, ":")
}
