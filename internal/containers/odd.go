package containers

import (
	"bytes"
	"unicode/utf8"

	"watchpost/internal/expo"
)

// odd takes a line that is not written as client libraries do: with blanks between
// its parts, a comma behind the last label, characters beyond ASCII, or not
// exposition text at all.
func (f *Filter) odd(dst, line []byte) ([]byte, error) {
	if problem := badBytes(line); problem != "" {
		return dst, f.wrong(line, problem)
	}
	plain := bytes.TrimLeft(bytes.TrimRight(line, " \t\r"), " \t")
	if len(plain) == 0 {
		return dst, nil
	}
	if plain[0] == '#' {
		return f.comment(dst, plain)
	}
	plain, problem := canonical(plain)
	if problem != "" {
		return dst, f.wrong(line, problem)
	}
	v, at := f.name(plain)
	if v == nil {
		return dst, f.wrong(line, "no metric name")
	}
	dst = f.turn(dst, v)
	if v.dropsAll() {
		f.dropped(v.rule, line)
		return dst, nil
	}
	x := &f.one
	x.v, x.line, x.at, x.block = v, plain, at, nil
	if !f.walk(x) {
		return dst, f.wrong(line, "a label twice")
	}
	if problem := f.rest(x); problem != "" {
		return dst, f.wrong(line, problem)
	}
	return f.sample(dst, x)
}

// badBytes tells what bytes in a line no parser would take.
func badBytes(line []byte) (problem string) {
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return "a zero byte"
	case !utf8.Valid(line):
		return "text that is not UTF-8"
	}
	return ""
}

// canonical writes a line as client libraries do. It does not check numbers.
func canonical(b []byte) (plain []byte, problem string) {
	n := nameEnd(b)
	name, b := b[:n], blanks(b[n:])
	var quoted, labels []byte
	if len(b) > 0 && b[0] == '{' {
		b = blanks(b[1:])
		for len(b) > 0 && b[0] != '}' {
			label, n := labelName(b)
			if n == 0 {
				return nil, "no label name"
			}
			token := b[:n]
			b = blanks(b[n:])
			if len(b) > 0 && token[0] == '"' && (b[0] == ',' || b[0] == '}') {
				if len(name) > 0 || quoted != nil {
					return nil, "two metric names"
				}
				if quoted = token; expo.ValidName(label) {
					name = []byte(label)
				}
			} else {
				if len(b) == 0 || b[0] != '=' {
					return nil, "no = after a label name"
				}
				if b = blanks(b[1:]); len(b) == 0 || b[0] != '"' {
					return nil, "no quote before a label value"
				}
				end := closing(b[1:])
				if end < 0 {
					return nil, "no quote after a label value"
				}
				if validLabel(label) {
					token = []byte(label)
				}
				labels = append(append(append(labels, ','), token...), '=')
				labels = append(labels, b[:end+2]...)
				b = blanks(b[end+2:])
			}
			if len(b) > 0 && b[0] == ',' {
				b = blanks(b[1:])
			}
		}
		if len(b) == 0 {
			return nil, "no closing brace"
		}
		b = blanks(b[1:])
	}
	switch {
	case len(name) > 0 && len(labels) > 0:
		labels[0] = '{'
		plain = append(append(append(plain, name...), labels...), '}')
	case len(name) > 0:
		plain = append(plain, name...)
	case quoted != nil:
		plain = append(append(append(append(plain, '{'), quoted...), labels...), '}')
	default:
		return nil, "no metric name"
	}
	value := b
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		value, b = b[:i], blanks(b[i:])
	} else {
		b = nil
	}
	if len(value) == 0 {
		return nil, "no value"
	}
	if plain = append(append(plain, ' '), value...); len(b) > 0 {
		plain = append(append(plain, ' '), b...)
	}
	return plain, ""
}

func blanks(b []byte) []byte { return bytes.TrimLeft(b, " \t") }

func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], blanks(b[i:])
	}
	return b, nil
}
