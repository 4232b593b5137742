package expo

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
)

// GzipWriter compresses exposition text into gzip members (RFC 1952), with less time
// and memory than a compressor for any text, by what is known of such text: a line
// repeats one before it, and what differs begins after a separator. So it looks
// for a repetition only there. The codes of a member are those that fitted the
// member before, which is the last scrape: the text is read once.
// docs/design/encoder.md has the numbers.
//
// A GzipWriter holds some 150 kB and allocates nothing. It is not safe for concurrent use.
type GzipWriter struct {
	w   io.Writer
	err error // the first of w

	text []byte // what matches may reach back to, then what came since
	done int    // of text
	base uint32 // how much of the member came before text
	crc  uint32

	seen [1 << seenBits]uint32 // by hash: place in the member of what stood there, plus 1

	out  []byte
	bits uint64 // not in out yet, the first in the lowest place
	n    uint   // number of them

	codes codes
	used  counts // by this member
}

const (
	window   = 32 << 10 // how far deflate reaches back
	maxText  = 2 * window
	minMatch = 6 // what a shorter one saves is not worth the search
	maxMatch = 258
	seenBits = 12
	maxOut   = 32 << 10 // bytes of out that are kept before w gets them
)

// gzipSample is text to which the first member's codes are fitted.
const gzipSample = `# HELP node_filesystem_avail_bytes Bytes of a file system that anyone may use.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 8.1389617152e+10
node_cpu_seconds_total{cpu="0",mode="user"} 4156.37
node_network_up{device="eth0"} 1
node_memory_MemFree_bytes 2.0473856e+07
`

// NewGzipWriter makes a GzipWriter; it is of use after Reset.
func NewGzipWriter() *GzipWriter {
	z := &GzipWriter{text: make([]byte, 0, maxText), out: make([]byte, 0, maxOut+maxOut/2)}
	z.codes.fit(new(counts))
	z.Reset(io.Discard)
	io.WriteString(z, gzipSample)
	z.Close()
	return z
}

// Reset begins a member on w.
func (z *GzipWriter) Reset(w io.Writer) {
	z.w, z.err = w, nil
	z.text, z.done, z.base, z.crc = z.text[:0], 0, 0, 0
	clear(z.seen[:])
	z.out = append(append(z.out[:0], gzipHeader...), z.codes.header[:]...)
	z.bits, z.n = z.codes.headerTail, z.codes.headerTailBits
	z.used = counts{}
}

// Write implements io.Writer.
func (z *GzipWriter) Write(p []byte) (int, error) {
	n := len(p)
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p)
	for {
		k := min(len(p), maxText-len(z.text))
		z.text = append(z.text, p[:k]...)
		if p = p[k:]; len(p) == 0 {
			return n, z.err
		}
		z.deflate()
		kept := copy(z.text, z.text[len(z.text)-window:])
		z.base += uint32(len(z.text) - kept)
		z.text, z.done = z.text[:kept], kept
	}
}

// Close ends the member. The error is the first of the Writer beneath.
func (z *GzipWriter) Close() error {
	z.deflate()
	z.put(z.codes.of[endOfBlock])
	for ; z.n > 0; z.n -= min(z.n, 8) {
		z.out = append(z.out, byte(z.bits))
		z.bits >>= 8
	}
	z.out = binary.LittleEndian.AppendUint32(z.out, z.crc)
	z.out = binary.LittleEndian.AppendUint32(z.out, z.base+uint32(len(z.text)))
	z.flush()
	z.codes.fit(&z.used)
	return z.err
}

// flush gives out to the Writer beneath.
func (z *GzipWriter) flush() {
	if z.err == nil {
		_, z.err = z.w.Write(z.out)
	}
	z.out = z.out[:0]
}

// separators end what lines have in common. Before the byte after one a
// repetition is looked for.
var separators = [256]bool{'\n': true, ' ': true, '"': true, '=': true, '{': true, ',': true, '/': true, '_': true}

// deflate writes the text that is not done.
func (z *GzipWriter) deflate() {
	text, i := z.text, z.done
	for last := len(text) - 8; i < last; {
		if len(z.out) > maxOut {
			z.flush()
		}
		next := binary.LittleEndian.Uint64(text[i:])
		h := next << (64 - 8*minMatch) * 0x9e3779b185ebca87 >> (64 - seenBits)
		at := int(z.seen[h]) - 1 - int(z.base)
		z.seen[h] = z.base + uint32(i) + 1
		if at >= 0 && i-at <= window {
			if n := common(text[at:], text[i:]); n >= minMatch {
				z.match(n, i-at)
				i += n
				continue
			}
		}
		i = z.literals(text, i, last)
	}
	for i < len(text) {
		i = z.literals(text, i, len(text))
	}
	z.done = len(text)
}

// literals writes the bytes of text from i up to the first separator, or to end.
func (z *GzipWriter) literals(text []byte, i, end int) int {
	acc, n, out := z.bits, z.n, z.out
	for i < end {
		c := text[i]
		i++
		z.used.of[c]++
		of := z.codes.of[c]
		acc |= uint64(of.bits) << n
		if n += uint(of.width); n >= 32 {
			out = binary.LittleEndian.AppendUint32(out, uint32(acc))
			acc >>= 32
			n -= 32
		}
		if separators[c] {
			break
		}
	}
	z.bits, z.n, z.out = acc, n, out
	return i
}

// common is how long a and b, which is the shorter, are the same, up to maxMatch.
func common(a, b []byte) (n int) {
	b = b[:min(len(b), maxMatch)]
	a = a[:len(b)]
	for n+8 <= len(b) {
		if d := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); d != 0 {
			return n + bits.TrailingZeros64(d)>>3
		}
		n += 8
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// match writes that n bytes are those of dist bytes before (RFC 1951, section 3.2.5).
func (z *GzipWriter) match(n, dist int) {
	sym, extra, width := lengthSymbol(n)
	z.used.of[sym]++
	z.put(z.codes.of[sym].with(extra, width))
	sym, extra, width = distSymbol(dist)
	z.used.dist[sym]++
	z.put(z.codes.dist[sym].with(extra, width))
}

// put appends the bits of c.
func (z *GzipWriter) put(c code) {
	z.bits |= uint64(c.bits) << z.n
	if z.n += uint(c.width); z.n >= 32 {
		z.out = binary.LittleEndian.AppendUint32(z.out, uint32(z.bits))
		z.bits >>= 32
		z.n -= 32
	}
}

const (
	endOfBlock  = 256
	litSymbols  = 286
	distSymbols = 30
	maxWidth    = 15 // of a code
)

// lengthSymbol is the symbol for a length from 3 to 258, and its extra bits.
func lengthSymbol(n int) (sym int, extra uint32, width uint8) {
	switch l := n - 3; {
	case l < 8:
		return 257 + l, 0, 0
	case n == maxMatch:
		return 285, 0, 0
	default:
		w := bits.Len(uint(l)) - 3
		return 257 + 4*w + l>>w, uint32(l & (1<<w - 1)), uint8(w)
	}
}

// distSymbol is the symbol for a distance from 1 to 32768, and its extra bits.
func distSymbol(dist int) (sym int, extra uint32, width uint8) {
	d := dist - 1
	if d < 4 {
		return d, 0, 0
	}
	w := bits.Len(uint(d)) - 2
	return 2*w + d>>w, uint32(d & (1<<w - 1)), uint8(w)
}

// code are some bits, the first to be written in the lowest place.
type code struct {
	bits  uint32
	width uint8
}

// with is c followed by other bits.
func (c code) with(extra uint32, width uint8) code {
	return code{c.bits | extra<<c.width, c.width + width}
}

// counts are how often symbols were used: literals, lengths and the end of the
// block; and distances.
type counts struct {
	of   [litSymbols]uint32
	dist [distSymbols]uint32
}

// codes are Huffman codes in which every symbol has one, so that they can write
// any text, and the header of the block that has them.
type codes struct {
	of   [litSymbols]code
	dist [distSymbols]code

	header         [headerBits / 8]byte
	headerTail     uint64 // the bits that fill no byte
	headerTailBits uint

	tree tree // kept for its memory
}

// headerBits are those of a dynamic block (RFC 1951, section 3.2.7) that gives
// the width of each code in 4 bits: flags, sizes, 19 widths of widths, widths.
const headerBits = 3 + 5 + 5 + 4 + 19*3 + (litSymbols+distSymbols)*4

// fit makes the codes that are the shortest for the counts.
func (c *codes) fit(n *counts) {
	c.tree.codes(n.of[:], c.of[:])
	c.tree.codes(n.dist[:], c.dist[:])
	z := GzipWriter{out: c.header[:0]}
	z.put(code{1 | 2<<1, 3}) // the last block, with codes of its own
	z.put(code{litSymbols - 257, 5})
	z.put(code{distSymbols - 1, 5})
	z.put(code{19 - 4, 4})
	for i := range 19 { // the first three are for runs, the rest the widths 0 to 15
		if i < 3 {
			z.put(code{0, 3})
		} else {
			z.put(code{4, 3})
		}
	}
	for _, s := range [][]code{c.of[:], c.dist[:]} {
		for _, of := range s {
			z.put(reversed(uint16(of.width), 4))
		}
	}
	for ; z.n >= 8; z.n -= 8 {
		z.out = append(z.out, byte(z.bits))
		z.bits >>= 8
	}
	c.headerTail, c.headerTailBits = z.bits, z.n
}

// reversed is a Huffman code, which is written from its highest bit.
func reversed(c uint16, width uint8) code {
	return code{uint32(bits.Reverse16(c) >> (16 - width)), width}
}

// tree makes Huffman codes.
type tree struct {
	nodes [2 * litSymbols]node
	order [litSymbols]uint16 // symbols, the rarest first
}

type node struct {
	count  uint32
	parent uint16
	depth  uint8
}

// codes sets a code for each symbol, used or not, of at most maxWidth bits.
func (t *tree) codes(counts []uint32, to []code) {
	leaves := t.order[:len(counts)]
	for i := range leaves {
		leaves[i] = uint16(i)
	}
	slices.SortFunc(leaves, func(a, b uint16) int { return int(counts[a]) - int(counts[b]) })
	for shift := 0; ; shift++ { // coarser until no code is too long
		if t.build(counts, leaves, shift) <= maxWidth {
			break
		}
	}
	var of [maxWidth + 1]uint16 // codes of a width
	for i, s := range leaves {
		to[s].width = t.nodes[i].depth
		of[t.nodes[i].depth]++
	}
	var next [maxWidth + 2]uint16
	for w := 1; w <= maxWidth; w++ {
		next[w+1] = (next[w] + of[w]) << 1
	}
	for s := range to {
		w := to[s].width
		to[s] = reversed(next[w], w)
		next[w]++
	}
}

// build makes the tree of counts/2^shift + 1 and tells how deep it is. The leaves
// come first among the nodes, in the order given, then the nodes above them, both
// from the rarest to the most frequent.
func (t *tree) build(counts []uint32, leaves []uint16, shift int) (deepest uint8) {
	n := len(leaves)
	for i, s := range leaves {
		t.nodes[i] = node{count: counts[s]>>shift + 1}
	}
	leaf, inner := 0, n
	root := 2*n - 2
	for above := n; above <= root; above++ {
		t.nodes[above] = node{}
		for range 2 { // the two rarest that have no parent
			at := &inner
			if inner == above || leaf < n && t.nodes[leaf].count <= t.nodes[inner].count {
				at = &leaf
			}
			t.nodes[*at].parent = uint16(above)
			t.nodes[above].count += t.nodes[*at].count
			*at++
		}
	}
	for i := root - 1; i >= 0; i-- {
		t.nodes[i].depth = t.nodes[t.nodes[i].parent].depth + 1
		deepest = max(deepest, t.nodes[i].depth)
	}
	return deepest
}
