package stateagent

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// matchTimeout bounds the search of one pattern in one name: patterns of this
// kind can take time that doubles with each character.
const matchTimeout = time.Second

// metricFilter tells which families are written, by the rules of
// kube-state-metrics: one list of patterns to keep or one to leave out, and
// another for those families that have to be asked for. A pattern fits where it
// is found anywhere in the name; ^ and $ tie it to the ends.
type metricFilter struct {
	listed []*regexp2.Regexp // ECMAScript, which can look ahead and behind
	allow  bool              // the list is of those to keep
	optIn  []*regexp.Regexp  // Go's
}

// newMetricFilter checks and compiles the patterns.
func newMetricFilter(allow, deny, optIn []string) (*metricFilter, error) {
	if len(allow) > 0 && len(deny) > 0 {
		return nil, errors.New("--metric-allowlist and --metric-denylist cannot be used together")
	}
	f := &metricFilter{allow: len(allow) > 0}
	name, list := "--metric-denylist", deny
	if f.allow {
		name, list = "--metric-allowlist", allow
	}
	for _, pattern := range list {
		r, err := regexp2.Compile(pattern, regexp2.ECMAScript)
		if err != nil {
			return nil, fmt.Errorf("%s: pattern %q: %w", name, pattern, err)
		}
		r.MatchTimeout = matchTimeout
		f.listed = append(f.listed, r)
	}
	for _, pattern := range optIn {
		r, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("--metric-opt-in-list: pattern %q: %w", pattern, err)
		}
		f.optIn = append(f.optIn, r)
	}
	return f, nil
}

// keep tells whether a family is written. A pattern that cannot be searched in
// time does not fit.
func (f *metricFilter) keep(name string, optIn bool) bool {
	if optIn && !f.asked(name) {
		return false
	}
	for _, r := range f.listed {
		if fits, err := r.MatchString(name); err == nil && fits {
			return f.allow
		}
	}
	return !f.allow
}

// asked tells whether a family is asked for by name.
func (f *metricFilter) asked(name string) bool {
	for _, r := range f.optIn {
		if r.MatchString(name) {
			return true
		}
	}
	return false
}
