package kube

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	quantity "k8s.io/apimachinery/pkg/api/resource"
)

// Paths into an object of unknown shape, and values of it as numbers, by the rules
// of kube-state-metrics (docs/metrics/extend/customresourcestate-metrics.md there).
// Objects are what the API's JSON decodes to: maps, lists, strings, int64, float64,
// booleans and nil.

// fieldPath is a way into an object. The empty path is the object itself.
type fieldPath []pathStep

// pathStep goes from a map to one of its values, or from a list to one of its elements.
type pathStep struct {
	text string // as the configuration has it

	// Of a map: the value of the key text, but of the key field where that is wanted.
	field, wanted string
	equal         bool // "field=wanted"

	// Of a list: the element at index, counted from the end where it is negative, or
	// in a filter the first element, a map, whose field is wanted.
	index   int
	indexed bool
	filter  bool // "[field=wanted]"
	number  float64
	numeric bool // wanted is number, too
	truth   bool
	boolean bool // wanted is truth, too
}

// outOfRange is what a path leads to that asks for an element behind a list's end.
type outOfRange string

func (o outOfRange) Error() string { return "no element " + string(o) + " in the list" }

// compilePath reads a path. The error is of a filter that is not one.
func compilePath(parts []string) (fieldPath, error) {
	p := make(fieldPath, len(parts))
	for i, text := range parts {
		s := pathStep{text: text}
		if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
			s.field, s.wanted, s.filter = strings.Cut(strings.TrimSuffix(inner, "]"), "=")
			if !s.filter {
				return nil, fmt.Errorf("%q is no filter; it has to be as [key=value]", text)
			}
			var err error
			s.number, err = numberOf(s.wanted, false)
			s.numeric = err == nil
			s.truth, err = strconv.ParseBool(s.wanted)
			s.boolean = err == nil
		} else {
			s.field, s.wanted, s.equal = strings.Cut(text, "=")
			s.equal = s.equal && !strings.Contains(s.wanted, "=")
			index, err := strconv.Atoi(text)
			s.index, s.indexed = index, err == nil
		}
		p[i] = s
	}
	return p, nil
}

// String is the path as it is told to people.
func (p fieldPath) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.text
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// of is what the path leads to, nil where there is nothing.
func (p fieldPath) of(v any) any {
	for i := range p {
		if v == nil {
			return nil
		}
		v = p[i].of(v)
	}
	return v
}

func (s *pathStep) of(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if s.filter {
			return nil
		}
		if s.equal {
			if text, ok := v[s.field].(string); ok && text == s.wanted {
				return text
			}
		}
		return v[s.text]
	case []any:
		if s.filter {
			return s.first(v)
		}
		if !s.indexed {
			return nil
		}
		i := s.index
		if i < 0 {
			i += len(v)
		}
		if i < 0 || i >= len(v) {
			return outOfRange(s.text)
		}
		return v[i]
	}
	return nil
}

// first is the first map of a list that the filter wants.
func (s *pathStep) first(list []any) any {
	for _, element := range list {
		m, ok := element.(map[string]any)
		if !ok {
			continue
		}
		value, ok := m[s.field]
		if !ok {
			continue
		}
		if text, ok := value.(string); ok && text == s.wanted {
			return m
		}
		if s.numeric {
			if n, err := numberOf(value, false); err == nil && n == s.number {
				return m
			}
		}
		if b, ok := value.(bool); ok && s.boolean && b == s.truth {
			return m
		}
	}
	return nil
}

// errNil is why there is no number of nothing.
var errNil = errors.New("there is no value")

// numberOf is a value as a number: a truth is 1 or 0, a time the seconds since 1970,
// a quantity its amount (250m is 0.25), a percentage its share (50% is 0.5), and
// nothing is zero where nilIsZero says so.
func numberOf(v any, nilIsZero bool) (float64, error) {
	switch v := v.(type) {
	case nil:
		if nilIsZero {
			return 0, nil
		}
		return 0, errNil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case int: // of objects that a program made
		return float64(v), nil
	case string:
		return textNumber(v)
	case outOfRange:
		return 0, v
	}
	return 0, fmt.Errorf("%.40q is no number", fmt.Sprint(v))
}

func textNumber(s string) (float64, error) {
	switch {
	case isWord(s, "true"), isWord(s, "yes"):
		return 1, nil
	case isWord(s, "false"), isWord(s, "no"), isWord(s, "unknown"): // as conditions have it
		return 0, nil
	}
	if len(s) > len("2006-01-02T") && s[4] == '-' && s[10] == 'T' { // else it is no time, and failing costs
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return seconds(t), nil
		}
	}
	if q, err := quantity.ParseQuantity(s); err == nil {
		return q.AsApproximateFloat64(), nil
	}
	if digits, ok := strings.CutSuffix(s, "%"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		f, err := strconv.ParseFloat(digits, 64)
		return f / 100, err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no number, truth, time, quantity or percentage", s)
	}
	return f, nil
}

// isWord tells whether s is a word of ASCII letters, in any case.
func isWord(s, word string) bool { return len(s) == len(word) && strings.EqualFold(s, word) }

// durationOf is a value such as 1h30m as seconds.
func durationOf(v any, nilIsZero bool) (float64, error) {
	s, ok := v.(string)
	if !ok {
		return numberOf(v, nilIsZero)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no duration such as 1h30m", s)
	}
	return d.Seconds(), nil
}

// labelText is a value as that of a label.
func labelText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// cleanLabel is a name for a label: what it cannot hold becomes an underscore, and
// one stands before a digit at its beginning. "__name__" is taken.
func cleanLabel(s string) string {
	if validLabel(s) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if !labelByte(c) {
			b[i] = '_'
		}
	}
	if len(b) == 0 || !validLabel(string(b)) {
		b = append([]byte{'_'}, b...)
	}
	return string(b)
}

func validLabel(s string) bool {
	for i := range len(s) {
		if !labelByte(s[i]) {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9') && s != "__name__"
}

func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
