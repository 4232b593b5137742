package kube

import (
	"bytes"
	"hash/maphash"
	"strconv"
	"time"

	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/expo"
)

// Lines takes the samples of one object, family by family. Each begins with the
// labels that tell the object apart, which are rendered once.
//
// A family has each series once: of samples with the same labels the first is
// kept, as Prometheus would. Objects do say things twice (a port in two subsets,
// a condition of one type with two statuses), and a scrape must not.
type Lines struct {
	text     []byte
	family   *expo.Family
	identity []byte // `namespace="a",pod="b",uid="c"`

	// Of the family being written, for this object:
	begun  *expo.Family
	starts []int               // where in text each of its lines starts
	series map[uint64]struct{} // hashes of its series, once there are more than a few
	seed   maphash.Seed

	extra  []pair // labels that identity has beside the resource's own
	digits [16]digits

	trueOnly                  bool
	sidecars                  bool     // see Options
	labelKeys, annotationKeys []string // allow lists; see Options

	custom customScratch
}

// pair is a label whose name is made from an object.
type pair struct{ name, value string }

// identify sets the labels of every sample to come.
func (l *Lines) identify(names, values []string) {
	l.identity, l.extra, l.begun = l.identity[:0], l.extra[:0], nil
	for i, name := range names {
		l.identity = appendLabel(l.identity, name, values[i])
	}
}

// addIdentity adds labels to those of every sample to come.
func (l *Lines) addIdentity(pairs []pair) {
	for _, p := range pairs {
		l.identity = appendLabel(l.identity, p.name, p.value)
	}
	l.extra = append(l.extra, pairs...)
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
	l.begin(values, len(values))
	l.end(v)
}

// AddPairs writes a sample with the values of the family's labels, and more
// labels, but for those that every sample has already.
func (l *Lines) AddPairs(v float64, pairs []pair, values ...string) {
	l.begin(values, len(values))
	for _, p := range pairs {
		if !l.inIdentity(p.name) {
			l.text = appendLabel(l.text, p.name, p.value)
		}
	}
	l.end(v)
}

func (l *Lines) inIdentity(name string) bool {
	for _, e := range l.extra {
		if e.name == name {
			return true
		}
	}
	return false
}

// begin writes the name and the labels that have values, n of them with those
// that the caller adds.
func (l *Lines) begin(values []string, n int) {
	names := l.family.Labels()
	if n != len(names) {
		panic("BUG: kube: " + l.family.Name() + " has " + strconv.Itoa(len(names)) + " labels, got " + strconv.Itoa(n) + " values")
	}
	l.open()
	for i, v := range values {
		l.text = appendLabel(l.text, names[i], v)
	}
}

// open writes the name and the labels that every sample has.
func (l *Lines) open() {
	if l.begun != l.family {
		l.begun, l.starts = l.family, l.starts[:0]
	}
	l.starts = append(l.starts, len(l.text))
	l.text = append(append(l.text, l.family.Name()...), '{')
	l.text = append(l.text, l.identity...)
}

// end writes the rest of a line, or takes back one whose series there is already.
func (l *Lines) end(v float64) {
	l.text = append(l.text, '}', ' ')
	if len(l.starts) > 1 && l.repeated() {
		last := len(l.starts) - 1
		l.text, l.starts = l.text[:l.starts[last]], l.starts[:last]
		return
	}
	l.text = append(expo.AppendFloat(l.text, v), '\n')
}

// fewSeries is how many series of a family are compared one by one.
const fewSeries = 16

// repeated tells whether the series at the end of the text, which ends with the
// space before its value, is one that the family has already. Series are equal
// where their bytes are, up to that space: a quote within a value is escaped.
func (l *Lines) repeated() bool {
	last := len(l.starts) - 1
	same := len(l.family.Name()) + 1 + len(l.identity) // what all the family's lines begin with
	series := l.text[l.starts[last]+same:]
	if last > fewSeries { // one by one would take the square of the number
		hash := maphash.Bytes(l.seed, series)
		if _, maybe := l.series[hash]; !maybe {
			l.series[hash] = struct{}{}
			return false
		}
	} else if last == fewSeries {
		l.rememberSeries(same)
	}
	for _, start := range l.starts[:last] {
		if bytes.HasPrefix(l.text[start+same:], series) {
			return true
		}
	}
	return false
}

// rememberSeries begins to remember the hashes of the family's series.
func (l *Lines) rememberSeries(same int) {
	if l.series == nil {
		l.series, l.seed = map[uint64]struct{}{}, maphash.MakeSeed()
	}
	clear(l.series)
	for i, start := range l.starts {
		line := l.text[start+same:]
		if i+1 < len(l.starts) {
			line = l.text[start+same : l.starts[i+1]]
			line = line[:bytes.LastIndexByte(line, ' ')+1]
		}
		l.series[maphash.Bytes(l.seed, line)] = struct{}{}
	}
}

// digits is a number as text.
type digits struct {
	n    int64
	text string
}

// Digits is n as a label value. The same few numbers come again and again (300
// seconds, port 8080), so the last ones are kept.
func (l *Lines) Digits(n int64) string {
	d := &l.digits[uint64(n)%uint64(len(l.digits))]
	if d.n != n || d.text == "" {
		*d = digits{n, strconv.FormatInt(n, 10)}
	}
	return d.text
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

// Milli writes a quantity to three digits after the point, rounded up; one of
// which an int64 cannot hold the thousandths is rounded up to a whole number.
func (l *Lines) Milli(q quantity.Quantity, values ...string) {
	l.Add(milli(&q), values...)
}

func milli(q *quantity.Quantity) float64 {
	if v := q.Value(); v > quantity.MaxMilliValue {
		return float64(v)
	}
	return float64(q.MilliValue()) / 1000
}

// Whole writes a quantity rounded up to a whole number.
func (l *Lines) Whole(q quantity.Quantity, values ...string) {
	l.Add(float64(q.Value()), values...)
}

// OneOf writes one sample for each of the states that a thing can be in, the
// family's last label: 1 for the one it is in, 0 for the others, which
// Options.TrueOnly leaves out. values are those of the labels before.
func (l *Lines) OneOf(states []string, is string, values ...string) {
	names := l.family.Labels()
	for _, s := range states {
		v := 0.0
		if s == is {
			v = 1
		} else if l.trueOnly {
			continue
		}
		l.begin(values, len(values)+1)
		l.text = appendLabel(l.text, names[len(names)-1], s)
		l.end(v)
	}
}
