package containers

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"watchpost/internal/expo"
)

// Rules say which series are passed on and what becomes of their labels. The zero
// value passes everything on as it is.
type Rules struct {
	// Series are asked in order; the first that fits a series decides. A series
	// that none fits is kept.
	Series []SeriesRule
	// Labels are applied one after another to the series that are kept.
	Labels []LabelRule
	// DropTimestamps leaves out the samples' own timestamps, so that the scraper
	// puts the time of its scrape.
	DropTimestamps bool
}

// SeriesRule keeps or drops series.
type SeriesRule struct {
	Metric Pattern           // of their names
	Where  map[string]string // RE2 by label, anchored; a label that is absent is empty
	Value  string            // a number that the sample must be equal to; "" is any
	Keep   bool              // else they are dropped
	Origin string            // where the rule was read, for explanations
}

// LabelRule drops, keeps or renames labels.
type LabelRule struct {
	Metric Pattern
	Drop   []string          // these
	Keep   []string          // all but these, and but those that tell pods apart
	Rename map[string]string // from old to new
	// Sum says that the samples of series that the rule makes equal are added up.
	// Otherwise the first of them is passed on, the others are counted as clashes.
	Sum    bool
	Origin string
}

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

// labelMatch is a condition on one label's value.
type labelMatch struct {
	label string
	fits  func(value []byte) bool
}

// labelRule is a LabelRule that can be asked.
type labelRule struct {
	LabelRule
	match func(name string) bool
}

// compile checks the rules whole. The error names the rule.
func (r *Rules) compile() (series []seriesRule, labels []labelRule, err error) {
	for _, s := range r.Series {
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

func (s SeriesRule) compile() (c seriesRule, err error) {
	c.SeriesRule = s
	if c.match, err = s.Metric.match(); err != nil {
		return c, err
	}
	for _, label := range slices.Sorted(maps.Keys(s.Where)) {
		if !validLabel(label) {
			return c, fmt.Errorf("%q is not the name of a label", label)
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

// valueMatch compiles a condition on a label's value, still escaped as in the text.
func valueMatch(re string) (func([]byte) bool, error) {
	switch {
	case re == "":
		return func(v []byte) bool { return len(v) == 0 }, nil
	case re == ".+":
		return func(v []byte) bool { return len(v) > 0 }, nil
	}
	compiled, err := anchored(re)
	if err != nil {
		return nil, err
	}
	if regexp.QuoteMeta(re) == re {
		return func(v []byte) bool { return string(v) == re || len(v) > len(re) && expo.Unescape(v) == re }, nil
	}
	return func(v []byte) bool {
		if slices.Contains(v, '\\') {
			return compiled.MatchString(expo.Unescape(v))
		}
		return compiled.Match(v)
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
		if !validLabel(name) {
			return fmt.Errorf("%q is not the name of a label", name)
		}
	}
	return nil
}

func validLabel(name string) bool {
	return expo.ValidName(name) && !strings.Contains(name, ":")
}
