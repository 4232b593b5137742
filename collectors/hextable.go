package collectors

import (
	"fmt"
	"slices"

	"watchpost/internal/hostfs"
)

// hexTable is a file of /proc/net/stat: a line of names, then a line of numbers
// in hex for each CPU that is possible (kernel: net/core/neighbour.c and others).
//
//	entries  allocs   destroys hash_grows
//	00000002 0000001f 00000022 00000000
type hexTable struct {
	header string   // which was parsed last
	names  []string // of the columns
	values []uint64 // row by row
}

// parse reads the file. It tells whether the columns are others than before.
func (t *hexTable) parse(b []byte) (changed bool, err error) {
	header, b := hostfs.NextLine(b)
	if changed = t.header != string(header); changed {
		t.header, t.names = string(header), nil
		for rest := header; ; {
			var name []byte
			if name, rest = hostfs.NextField(rest); len(name) == 0 {
				break
			}
			t.names = append(t.names, string(name))
		}
	}
	t.values = t.values[:0]
	if len(t.names) == 0 {
		return changed, fmt.Errorf("no names in the header %.100q", header)
	}
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		n := 0
		for rest := line; ; n++ {
			var field []byte
			if field, rest = hostfs.NextField(rest); len(field) == 0 {
				break
			}
			v, err := hostfs.Hex(field)
			if err != nil {
				return changed, fmt.Errorf("line %.100q: %w", line, err)
			}
			t.values = append(t.values, v)
		}
		if n != 0 && n != len(t.names) {
			return changed, fmt.Errorf("want %d numbers in %.200q", len(t.names), line)
		}
	}
	return changed, nil
}

// rows is how many lines of numbers there were.
func (t *hexTable) rows() int { return len(t.values) / max(len(t.names), 1) }

// at is the number in a row and column.
func (t *hexTable) at(row, column int) uint64 { return t.values[row*len(t.names)+column] }

// sum adds up a column; 0 where the kernel has none of that name.
func (t *hexTable) sum(name string) (sum uint64) {
	column := slices.Index(t.names, name)
	for row := 0; column >= 0 && row < t.rows(); row++ {
		sum += t.at(row, column)
	}
	return sum
}
