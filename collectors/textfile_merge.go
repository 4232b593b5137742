package collectors

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"watchpost/internal/expo"
)

// mergeTextfiles puts the families of all files together, sorted by name. Several
// files may share a family; of what contradicts an earlier file (another type or
// help, the same series again) the earlier one stands.
func mergeTextfiles(files []*promFile) ([]*dto.MetricFamily, []textFailure) {
	help, from := make(map[string]string), make(map[string][]string)
	for _, f := range files {
		for name, family := range f.families {
			from[name] = append(from[name], f.path)
			if help[name] == "" {
				help[name] = family.GetHelp()
			}
		}
	}
	for name := range from {
		if help[name] == "" {
			help[name] = "Metric read from " + strings.Join(from[name], ", ")
		}
	}

	// client_golang knows the rules and checks them. Its list of errors has no
	// files in it; but each file is asked for its families before these are checked,
	// so an error that it gives of its own comes before those about them.
	var sources prometheus.Gatherers
	for _, f := range files {
		sources = append(sources, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			return f.ordered(help), inFile{f.path}
		}))
	}
	families, err := sources.Gather()
	return families, failuresByFile(err)
}

// ordered are the file's families by name, each with a help.
func (f *promFile) ordered(help map[string]string) []*dto.MetricFamily {
	var families []*dto.MetricFamily
	for _, name := range slices.Sorted(maps.Keys(f.families)) {
		of := f.families[name]
		text := of.GetHelp()
		if text == "" {
			text = help[name]
		}
		families = append(families, &dto.MetricFamily{Name: of.Name, Help: &text, Type: of.Type, Metric: of.Metric})
	}
	return families
}

// inFile says of which file the errors that follow it are.
type inFile struct{ path string }

func (f inFile) Error() string { return f.path }

// failuresByFile makes one failure of all errors of a file.
func failuresByFile(err error) (failures []textFailure) {
	var all prometheus.MultiError
	if !errors.As(err, &all) {
		return nil // one file and no error but its name, or no file
	}
	path, count, first := "", 0, error(nil)
	flush := func() {
		if count > 1 {
			first = fmt.Errorf("%w; and %d more", first, count-1)
		}
		if count > 0 {
			failures = append(failures, textFailure{path, first})
		}
	}
	for _, err := range all {
		var next inFile
		switch {
		case errors.As(err, &next):
			flush()
			path, count = next.path, 0
		case count == 0:
			first, count = err, 1
		default:
			count++
		}
	}
	flush()
	return failures
}

// renderFamilies is the text of families, without an end.
func renderFamilies(families []*dto.MetricFamily, format expo.Format) ([]byte, error) {
	b := bytes.NewBuffer([]byte{})
	for _, f := range families {
		if format == expo.OpenMetrics {
			start := b.Len()
			if _, err := expfmt.MetricFamilyToOpenMetrics(b, f); err == nil {
				continue
			}
			// Histograms that count in fractions are not in OpenMetrics 1.0. Written as
			// in the other format they are read all the same.
			b.Truncate(start)
		}
		if _, err := expfmt.MetricFamilyToText(b, f); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
