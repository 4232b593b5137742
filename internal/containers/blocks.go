package containers

import "strings"

// The rows of a container metric are about the same cgroups in the same order as
// those of the metric before, and their labels are the same bytes, some 220 of
// them. So what was found out of the labels of a row is remembered as a block, with
// the block that came after it: a line whose labels are those of the block that is
// expected is done with one comparison.

// block are the labels of a line as they stand in it, braces and all.
type block struct {
	text   string
	layout *layout
	spans  []span
	next   *block     // the one that came after it the last time
	pod    *PodLabels // as looked up in the text of that number
	looked int
}

// layout is the names of the labels of lines, whatever the metric's name is.
type layout struct {
	metrics int // that have lines with it
}

// maxBlocks bounds what blocks hold, in bytes: enough for some 250 pods.
const (
	maxBlocks = 512 << 10
	blockSize = 200 // of a block beside its text
)

// blocks are those of a source.
type blocks struct {
	layouts map[string]*layout // by the text of their labels, without values
	known   map[string]*block
	bytes   int
	last    *block // of the line before that had one

	hits, misses int // in this text
}

// begin makes ready for a new text. Blocks that are of no use make room.
func (b *blocks) begin() {
	if b.known == nil {
		b.known, b.layouts = make(map[string]*block), make(map[string]*layout)
	}
	if b.bytes > maxBlocks && b.hits < b.misses {
		clear(b.known)
		b.bytes, b.last = 0, nil
	}
	b.hits, b.misses = 0, 0
}

// forget empties all that depends on layouts.
func (b *blocks) forget() {
	clear(b.known)
	clear(b.layouts)
	b.bytes, b.last = 0, nil
}

// expected is the block whose text labels begins with, if it is the next one or
// the one after that.
func (b *blocks) expected(labels []byte) *block {
	if b.last == nil {
		return nil
	}
	next := b.last.next
	for range 2 {
		if next == nil {
			return nil
		}
		if n := len(next.text); len(labels) > n && labels[n] == ' ' && string(labels[:n]) == next.text {
			b.last = next
			b.hits++
			return next
		}
		next = next.next
	}
	return nil
}

// found takes the block of a line that was walked over: one that came out of order,
// or a new one, if others of its kind can be expected.
func (b *blocks) found(x *series) *block {
	b.misses++
	if x.s.layout == nil || x.s.layout.metrics < 2 || len(x.s.labels) == 0 {
		return nil
	}
	text := x.line[x.at : x.end+1]
	k := b.known[string(text)]
	if k == nil {
		if b.bytes > maxBlocks || len(text) > maxKept {
			return nil
		}
		k = &block{text: string(text), layout: x.s.layout, spans: append([]span(nil), x.spans...)}
		b.bytes += len(text) + blockSize
		b.known[k.text] = k
	}
	if b.last != nil {
		b.last.next = k
	}
	b.last = k
	return k
}

// layoutOf is the layout of a shape that is new to its metric.
func (b *blocks) layoutOf(s *shape) *layout {
	var key strings.Builder
	for i := range s.labels {
		key.WriteString(s.labels[i].begin)
	}
	l := b.layouts[key.String()]
	if l == nil {
		l = new(layout)
		b.layouts[key.String()] = l
	}
	l.metrics++
	return l
}
