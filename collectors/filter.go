package collectors

import (
	"errors"
	"fmt"
	"regexp"
)

// Filter picks devices, mounts or fields by name. Its patterns are those of
// node_exporter's flags: RE2, matched anywhere unless anchored. It remembers what
// it decided, so a name costs its pattern once. It is not safe for concurrent use.
type Filter struct {
	include, exclude *regexp.Regexp
	decided          map[string]bool
}

// maxDecided bounds what a Filter remembers; hosts with more devices than that
// are decided anew now and then.
const maxDecided = 1 << 14

// NewFilter makes a Filter that keeps what include matches and exclude does not.
// An empty pattern does not take part.
func NewFilter(include, exclude string) (*Filter, error) {
	f := &Filter{}
	var err error
	if include != "" {
		if f.include, err = regexp.Compile(include); err != nil {
			return nil, fmt.Errorf("include pattern: %w", err)
		}
	}
	if exclude != "" {
		if f.exclude, err = regexp.Compile(exclude); err != nil {
			return nil, fmt.Errorf("exclude pattern: %w", err)
		}
	}
	return f, nil
}

// NewEitherFilter is NewFilter for flags that must not be given both.
func NewEitherFilter(what, include, exclude string) (*Filter, error) {
	if include != "" && exclude != "" {
		return nil, errors.New(what + ": include and exclude patterns cannot be used together")
	}
	return NewFilter(include, exclude)
}

// Keep tells whether name passes.
func (f *Filter) Keep(name string) bool {
	if keep, ok := f.decided[name]; ok {
		return keep
	}
	keep := (f.include == nil || f.include.MatchString(name)) && (f.exclude == nil || !f.exclude.MatchString(name))
	if f.decided == nil || len(f.decided) >= maxDecided {
		f.decided = make(map[string]bool)
	}
	f.decided[name] = keep
	return keep
}
