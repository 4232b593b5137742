// Package expo writes and reads the Prometheus text exposition formats: text
// 0.0.4 and OpenMetrics 1.0. It appends bytes, reflects on nothing and allocates
// nothing per sample; it knows nothing of where the numbers come from.
//
// The formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
// https://prometheus.io/docs/specs/om/open_metrics_spec/.
package expo

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Type is the type of a metric family, as its # TYPE line says it.
type Type uint8

// The types that are written here. Histograms come from client_golang's registry.
const (
	TypeUntyped Type = iota // "untyped" in text 0.0.4, "unknown" in OpenMetrics
	TypeCounter
	TypeGauge
	TypeSummary
)

// Family describes one metric family. It is declared once, as a package-level
// value, with its whole name as one literal, and never changed. A program
// declares many hundreds and writes few, so nothing is made ready in advance.
type Family struct {
	name   string
	help   string
	labels []string
	typ    Type
	whole  bool // see Whole
	plain  bool // whether nothing in help needs escaping
}

// Counter declares a family of counters. In OpenMetrics a counter whose name
// does not end in _total is of unknown type, as client_golang has it.
func Counter(name, help string, labels ...string) *Family {
	return newFamily(TypeCounter, name, help, labels)
}

// Gauge declares a family of gauges.
func Gauge(name, help string, labels ...string) *Family {
	return newFamily(TypeGauge, name, help, labels)
}

// Untyped declares a family whose type is not known.
func Untyped(name, help string, labels ...string) *Family {
	return newFamily(TypeUntyped, name, help, labels)
}

// Summary declares a family of one summary, which Writer.Summary writes.
func Summary(name, help string) *Family {
	return newFamily(TypeSummary, name, help, []string{"quantile"})
}

// With is the family with more labels, which come after its own.
func (f *Family) With(labels ...string) *Family {
	more := newFamily(f.typ, f.name, f.help, slices.Concat(f.labels, labels))
	more.whole = f.whole
	return more
}

// Whole is the family under its whole name in OpenMetrics too, where a counter
// a_total is in a family a. It is for counters beside which there is another
// family a; as the name then says nothing to OpenMetrics, its type is unknown there.
func (f *Family) Whole() *Family {
	whole := *f
	whole.whole = true
	return &whole
}

// Only is the family with these labels instead of its own.
func (f *Family) Only(labels ...string) *Family {
	return newFamily(f.typ, f.name, f.help, slices.Clone(labels))
}

// Name is the family's name, with _total where it is a counter.
func (f *Family) Name() string { return f.name }

// Labels are the names of the labels, in the order of their values. They are the
// family's own: only to be read.
func (f *Family) Labels() []string { return f.labels }

// Type is the family's type.
func (f *Family) Type() Type { return f.typ }

// newFamily panics on names that no parser would read back: that is a fault of
// the program, seen by the first test that loads it.
func newFamily(typ Type, name, help string, labels []string) *Family {
	if !ValidName(name) {
		panic("BUG: expo: bad metric name " + name)
	}
	for i, l := range labels {
		if !ValidName(l) || strings.Contains(l, ":") || slices.Contains(labels[:i], l) {
			panic("BUG: expo: bad or repeated label name " + l + " in " + name)
		}
	}
	return &Family{name: name, help: help, plain: !strings.ContainsAny(help, "\\\n\"") && utf8.ValidString(help), labels: labels, typ: typ}
}

// AppendHeader appends the family's HELP and TYPE lines as a format has them.
func (f *Family) AppendHeader(b []byte, format Format) []byte {
	name, word := f.name, typeWords[format][f.typ]
	escape := escapeHelp
	if format == OpenMetrics {
		escape = escapeValue
		if f.typ == TypeCounter { // there a counter is named without its suffix, and must have it
			short, isTotal := strings.CutSuffix(name, "_total")
			if isTotal && !f.whole {
				name = short
			} else {
				word = typeWords[format][TypeUntyped]
			}
		}
	}
	b = append(append(append(b, "# HELP "...), name...), ' ')
	if f.plain {
		b = append(b, f.help...)
	} else {
		b = escape(b, f.help)
	}
	b = append(append(append(b, "\n# TYPE "...), name...), ' ')
	return append(append(b, word...), '\n')
}

// typeWords are the words of TYPE lines, by Format and Type.
var typeWords = [...][4]string{
	Text:        {"untyped", "counter", "gauge", "summary"},
	OpenMetrics: {"unknown", "counter", "gauge", "summary"},
}

// ValidName tells whether s is a metric name of the classic character set,
// [a-zA-Z_:][a-zA-Z0-9_:]*.
func ValidName(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) || (i == 0 && '0' <= s[0] && s[0] <= '9') {
			return false
		}
	}
	return s != ""
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == ':'
}

// CleanName turns every byte that a metric name cannot hold into an underscore,
// as exporters do with names that a kernel or driver made up.
func CleanName(s string) string {
	if ValidName(s) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if !nameByte(c) {
			b[i] = '_'
		}
	}
	if len(b) == 0 || '0' <= b[0] && b[0] <= '9' {
		b = append([]byte{'_'}, b...)
	}
	return string(b)
}
