package kube

import (
	"slices"
	"time"

	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/expo"
)

// Lines takes the samples of one object, family by family. Each begins with the
// labels that tell the object apart, which are rendered once.
type Lines struct {
	text     []byte
	family   *expo.Family
	identity []byte // `namespace="a",pod="b",uid="c"`

	trueOnly                  bool
	labelKeys, annotationKeys []string // allow lists; see Options
}

// pair is a label whose name is made from an object.
type pair struct{ name, value string }

// identify sets the labels of every sample to come.
func (l *Lines) identify(names, values []string) {
	l.identity = l.identity[:0]
	for i, name := range names {
		l.identity = appendLabel(l.identity, name, values[i])
	}
}

// addIdentity adds labels to those of every sample to come.
func (l *Lines) addIdentity(pairs []pair) {
	for _, p := range pairs {
		l.identity = appendLabel(l.identity, p.name, p.value)
	}
}

// appendLabel appends a label to others, after a comma unless it is the first.
func appendLabel(dst []byte, name, value string) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, name...), '=', '"')
	return append(expo.AppendLabelValue(dst, value), '"')
}

// Add writes a sample with the values of the family's labels.
func (l *Lines) Add(v float64, values ...string) {
	l.begin(values)
	l.end(v)
}

// AddPairs writes a sample with the values of the family's labels, and more labels.
func (l *Lines) AddPairs(v float64, pairs []pair, values ...string) {
	l.begin(values)
	for _, p := range pairs {
		l.text = appendLabel(l.text, p.name, p.value)
	}
	l.end(v)
}

// begin writes all before the closing brace.
func (l *Lines) begin(values []string) {
	l.text = append(append(l.text, l.family.Name()...), '{')
	l.text = append(l.text, l.identity...)
	for i, name := range l.family.Labels() {
		l.text = appendLabel(l.text, name, values[i])
	}
}

func (l *Lines) end(v float64) {
	l.text = append(l.text, '}', ' ')
	l.text = append(expo.AppendFloat(l.text, v), '\n')
}

// Bool writes 1 for true and 0 for false.
func (l *Lines) Bool(b bool, values ...string) {
	if b {
		l.Add(1, values...)
	} else {
		l.Add(0, values...)
	}
}

// Number writes *n, and nothing where n is nil.
func Number[N ~int32 | ~int64](l *Lines, n *N, values ...string) {
	if n != nil {
		l.Add(float64(*n), values...)
	}
}

// Time writes a time in seconds since the epoch, rounded down. A time that is
// zero is written as it is counted, year 1, as kube-state-metrics does.
func (l *Lines) Time(t v1.Time, values ...string) { l.Add(seconds(t.Time), values...) }

// TimeIf is Time, and writes nothing where t is nil.
func (l *Lines) TimeIf(t *v1.Time, values ...string) {
	if t != nil {
		l.Time(*t, values...)
	}
}

// seconds is t in whole seconds since the epoch.
func seconds(t time.Time) float64 { return float64(t.Unix()) }

// Milli writes a quantity to three digits after the point, rounded up.
func (l *Lines) Milli(q quantity.Quantity, values ...string) {
	l.Add(float64(q.MilliValue())/1000, values...)
}

// Whole writes a quantity rounded up to a whole number.
func (l *Lines) Whole(q quantity.Quantity, values ...string) {
	l.Add(float64(q.Value()), values...)
}

// OneOf writes one sample for each of the states that a thing can be in, the
// family's last label: 1 for the one it is in, 0 for the others, which
// Options.TrueOnly leaves out. values are those of the labels before.
func (l *Lines) OneOf(states []string, is string, values ...string) {
	values = append(slices.Clip(values), "")
	for _, s := range states {
		values[len(values)-1] = s
		if s == is {
			l.Add(1, values...)
		} else if !l.trueOnly {
			l.Add(0, values...)
		}
	}
}
