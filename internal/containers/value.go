package containers

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"watchpost/internal/expo"
)

// rest is what stands behind the labels of a sample.
type rest struct {
	text     []byte // all of it
	valueEnd int
	timeEnd  int  // of the timestamp; valueEnd, where there is none
	stale    bool // the timestamp is older than it may be
}

// number is the value as it is written.
func (r *rest) number() []byte { return r.text[:r.valueEnd] }

// rest reads what stands behind the labels. It takes no more and no less than
// Prometheus' parser does.
func (f *Filter) rest(x *series) (problem string) {
	b := x.line[x.end+1:]
	if x.line[x.end] == '}' {
		b = b[1:]
	}
	n := number(b)
	if n == 0 { // NaN, +Inf, or no number
		n = wordEnd(b)
		if _, ok := parseFloat(b[:n]); !ok {
			return "a value that is not a number"
		}
	}
	r := &x.rest
	r.text, r.valueEnd, r.timeEnd, r.stale = b, n, n, false
	if n == len(b) {
		return ""
	}
	if f.times != Honour && f.format != expo.OpenMetrics && digits(b[n+1:]) { // Fast path: it need not be known.
		r.timeEnd = len(b)
		return ""
	}
	if len(b) > n+1 && b[n+1] != '#' {
		r.timeEnd = n + 1 + wordEnd(b[n+1:])
		if problem = f.timestamp(r); problem != "" {
			return problem
		}
	}
	switch {
	case r.timeEnd == len(b):
		return ""
	case f.format != expo.OpenMetrics:
		return "text behind the value"
	case !exemplar(b[r.timeEnd:]):
		return "an exemplar that cannot be read"
	}
	return ""
}

// timestamp checks the timestamp of a sample, in ms or, in OpenMetrics, in s, and
// how old it is.
func (f *Filter) timestamp(r *rest) (problem string) {
	t := r.text[r.valueEnd+1 : r.timeEnd]
	var ms int64
	if f.format == expo.OpenMetrics {
		seconds, ok := parseFloat(t)
		if !ok || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
			return "a timestamp that is not a number"
		}
		ms = int64(seconds * 1000)
	} else {
		var err error
		if ms, err = strconv.ParseInt(string(t), 10, 64); err != nil || t[0] < '0' {
			return "a timestamp that is not a whole number"
		}
	}
	r.stale = f.times == Honour && ms < f.oldest
	return ""
}

// number is the length of the number that b begins with, if it is written as
// nearly all are; 0 if not. Numbers of this form are in the range of a float.
func number(b []byte) int {
	const most = 32
	i := 0
	if len(b) > 0 && b[0] == '-' {
		i++
	}
	first := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == first {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		i++
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
	}
	if i+1 < len(b) && b[i] == 'e' {
		i++
		if b[i] == '+' || b[i] == '-' {
			i++
		}
		begun := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == begun || i > begun+2 {
			return 0
		}
	}
	if i > most || i < len(b) && b[i] != ' ' {
		return 0
	}
	return i
}

// digits tells whether b is nothing but digits, of a number of 8 to 16 of them.
func digits(b []byte) bool {
	return len(b) >= 8 && len(b) <= 16 && eightDigits(b) && eightDigits(b[len(b)-8:])
}

// eightDigits looks at the first eight bytes: of a digit the upper half is 3, and
// it stays so with 6 added.
func eightDigits(b []byte) bool {
	w := binary.LittleEndian.Uint64(b)
	const upper, six, three = 0xf0f0f0f0f0f0f0f0, 0x0606060606060606, 0x3030303030303030
	return w&upper == three && (w+six)&upper == three
}

// parseFloat reads a number as Prometheus does.
func parseFloat(b []byte) (v float64, ok bool) {
	s := string(b)
	if strings.ContainsAny(s, "pP_{") {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

func wordEnd(b []byte) int {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return i
	}
	return len(b)
}

// exemplar tells whether b is one: ` # {trace_id="x"} 0.5 1700000000.123`.
func exemplar(b []byte) bool {
	b, found := bytes.CutPrefix(b, []byte(" # {"))
	for first := true; found; first = false {
		if len(b) > 0 && b[0] == '}' {
			break
		}
		if !first {
			if b, found = bytes.CutPrefix(b, []byte(",")); !found {
				return false
			}
		}
		_, n := labelName(b)
		if n == 0 || b[0] == '"' {
			return false
		}
		if b, found = bytes.CutPrefix(b[n:], []byte(`="`)); !found {
			return false
		}
		end := closing(b)
		if end < 0 {
			return false
		}
		b = b[end+1:]
	}
	if !found || len(b) < 2 || b[1] != ' ' {
		return false
	}
	b = b[2:]
	value, time, timed := b, []byte(nil), false
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		value, time, timed = b[:i], b[i+1:], true
	}
	if _, ok := parseFloat(value); !ok {
		return false
	}
	seconds, ok := parseFloat(time)
	return !timed || ok && !math.IsNaN(seconds) && !math.IsInf(seconds, 0)
}
