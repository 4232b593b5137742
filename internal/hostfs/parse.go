package hostfs

import (
	"fmt"
	"math"
)

// The helpers below read the plain text of kernel files from bytes, without
// making strings of them.

// NextLine cuts the first line off b, without its newline.
func NextLine(b []byte) (line, rest []byte) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// NextField cuts the first word off b, which blanks and tabs separate. At the
// end both results are empty.
func NextField(b []byte) (field, rest []byte) {
	i := 0
	for i < len(b) && blank(b[i]) {
		i++
	}
	start := i
	for i < len(b) && !blank(b[i]) {
		i++
	}
	return b[start:i], b[i:]
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Uint reads a decimal number, nothing before or after it. The error quotes what
// is not one, or does not fit into 64 bits.
func Uint(b []byte) (uint64, error) {
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || n == math.MaxUint64/10 && d > math.MaxUint64%10 {
			return 0, notANumber(b)
		}
		n = n*10 + d
	}
	if len(b) == 0 {
		return 0, notANumber(b)
	}
	return n, nil
}

// Hex reads a hexadecimal number without prefix, in letters of either case,
// nothing before or after it.
func Hex(b []byte) (uint64, error) {
	var n uint64
	for _, c := range b {
		var d uint64
		switch {
		case '0' <= c && c <= '9':
			d = uint64(c - '0')
		case 'a' <= c && c <= 'f':
			d = uint64(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = uint64(c-'A') + 10
		default:
			return 0, notHex(b)
		}
		if n >= 1<<60 {
			return 0, notHex(b)
		}
		n = n<<4 | d
	}
	if len(b) == 0 {
		return 0, notHex(b)
	}
	return n, nil
}

// Int reads a decimal number that may have a sign.
func Int(b []byte) (int64, error) {
	digits, negative := b, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits, negative = b[1:], b[0] == '-'
	}
	n, err := Uint(digits)
	switch {
	case err != nil || n > 1<<63 || n == 1<<63 && !negative:
		return 0, notANumber(b)
	case negative:
		return -int64(n), nil
	}
	return int64(n), nil
}

func notANumber(b []byte) error { return notA("whole number", b) }

func notHex(b []byte) error { return notA("hexadecimal number", b) }

func notA(what string, b []byte) error {
	const most = 40
	if len(b) > most {
		return fmt.Errorf("%q… is not a %s", b[:most], what)
	}
	return fmt.Errorf("%q is not a %s", b, what)
}

// Interner makes strings of bytes, each text once, for names that come again at
// every scrape. It forgets all when it holds too many, so what comes from outside
// cannot fill the memory. The zero Interner is ready for use.
type Interner struct{ m map[string]string }

// maxInterned is above the number of devices, mounts or processes of any host known.
const maxInterned = 1 << 16

// String is b as a string.
func (n *Interner) String(b []byte) string {
	if s, ok := n.m[string(b)]; ok { // no allocation: the compiler knows this form
		return s
	}
	if n.m == nil || len(n.m) >= maxInterned {
		n.m = make(map[string]string)
	}
	s := string(b)
	n.m[s] = s
	return s
}
