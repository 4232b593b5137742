package expo

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A PieceCoder deflates a text that stands among others like it, such as the lines of
// one object in a family, so that it can be moved and replaced without the others:
// a segment is joined from pieces at the cost of copying their bits.
//
// All texts of a segment begin with the same prefix. It is no part of the piece:
// where pieces are joined it is written as a repetition of the text before. Within a
// piece, what a line has in common with the line before, at its beginning and at its
// end, is a repetition; all else are literals. The codes are the same for all pieces.
//
// A PieceCoder is safe for concurrent use. docs/design/encoder.md has the numbers.
type PieceCoder struct {
	codes  codes
	shifts [pieceShifts]uint32 // shiftCRC by length
}

// pieceShifts bounds the lengths for which the shift of a checksum is kept.
const pieceShifts = 4 << 10

// pieceSample is text to whose literals the codes are fitted: what is left of lines
// when prefixes and repetitions are taken away.
const pieceSample = `team-checkout",pod="checkout-api-7c9f6d5b48-x2k7q",uid="3f8a1c52-9b0e-4d67-a4f3-15c8e2907bd6",container="app"} 1
payments",pod="ledger-59d48fb7c6-mz4tn0173",uid="e07b92d4-6c15-4a38-8f21-bd0394ac5e76",condition="true"} 0
kube-system",pod="node-exporter-w8h5p",uid="51d2f7b8-04ea-4c93-b6a0-8f7c3e91d245"} 1784602931
default",pod="batch-29384756-q6v9r",uid="c6948e03-a1f5-4b7d-927c-60d5f82b3e1a",container="logs",reason="CrashLoopBackOff"} 1
7d05e1f83c942ab60e5f7b1894dca32690bd8e47f1a52c63d8079b4fe6a1c3525016843729
`

// NewPieceCoder makes a PieceCoder.
func NewPieceCoder() *PieceCoder {
	c := new(PieceCoder)
	var n counts
	for i := range len(pieceSample) {
		n.of[pieceSample[i]] += 4
	}
	// Two repetitions a line, most of them of 100 to 258 bytes from as far back.
	for sym := 257; sym < litSymbols; sym++ {
		n.of[sym] = 2
		if sym >= 277 {
			n.of[sym] = 6
		}
	}
	n.of[endOfBlock] = 0
	for sym := range n.dist {
		n.dist[sym] = 1
		if sym >= 10 && sym <= 20 {
			n.dist[sym] = 8
		}
	}
	c.codes.fit(&n)
	c.codes.header[0] &^= 1 // not the last block
	for i := range c.shifts {
		c.shifts[i] = shiftCRC(int64(i))
	}
	return c
}

func (c *PieceCoder) shift(n int) uint32 {
	if n < len(c.shifts) {
		return c.shifts[n]
	}
	return shiftCRC(int64(n))
}

// bitWriter appends bits to bytes, the first in the lowest place.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint // of bits, that are not in out yet; less than 32
}

func (w *bitWriter) put(c code) { w.add(uint64(c.bits), uint(c.width)) }

// add appends up to 32 bits; those above width are 0.
func (w *bitWriter) add(v uint64, width uint) {
	w.bits |= v << w.n
	if w.n += width; w.n >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
	}
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out = append(w.out, byte(w.bits))
		w.bits >>= 8
	}
}

// repeat writes that n bytes, of any number from minRepeat, are those of dist bytes before.
func (c *PieceCoder) repeat(w *bitWriter, n, dist int) {
	for n > 0 {
		k := min(n, maxMatch)
		if rest := n - k; rest > 0 && rest < minRepeat {
			k -= minRepeat
		}
		sym, extra, width := lengthSymbol(k)
		w.put(c.codes.of[sym].with(extra, width))
		sym, extra, width = distSymbol(dist)
		w.put(c.codes.dist[sym].with(extra, width))
		n -= k
	}
}

// minRepeat is the shortest repetition that deflate has.
const minRepeat = 3

func (c *PieceCoder) literals(w *bitWriter, text []byte) {
	acc, n, out := w.bits, w.n, w.out
	for _, b := range text {
		of := c.codes.of[b]
		acc |= uint64(of.bits) << n
		if n += uint(of.width); n >= 32 {
			out = binary.LittleEndian.AppendUint32(out, uint32(acc))
			acc >>= 32
			n -= 32
		}
	}
	w.bits, w.n, w.out = acc, n, out
}

// Piece tells of a text what its deflated bits do not.
type Piece struct {
	Bits uint32 // the number of them
	CRC  uint32 // CRC-32 (IEEE) of the text
}

// Append appends the piece of a text to dst, in whole bytes. The text begins with a
// prefix of n bytes and has less than 2^28.
func (c *PieceCoder) Append(dst []byte, n int, text []byte) ([]byte, Piece) {
	begin := len(dst)
	w := bitWriter{out: dst}
	before, at := 0, n // lengths: of the line before, and of the rest of the prefix
	for rest := text; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		if before > 0 && at == 0 {
			from := text[len(text)-len(rest)-end-before:][:before]
			same := commonPrefix(from, line)
			if same < minRepeat || before > window {
				same = 0
			}
			tail := commonSuffix(from[min(same, before):], line[same:])
			if tail < minRepeat || end > window {
				tail = 0
			}
			c.repeat(&w, same, before)
			c.literals(&w, line[same:end-tail])
			c.repeat(&w, tail, end)
		} else {
			c.literals(&w, line[min(at, end):])
		}
		before, at = end, max(at-end, 0)
	}
	width := (len(w.out)-begin)*8 + int(w.n)
	w.align()
	return w.out, Piece{Bits: uint32(width), CRC: crc32.ChecksumIEEE(text)}
}

// commonPrefix is how many bytes a and b have in common at their beginnings.
func commonPrefix(a, b []byte) (n int) {
	m := min(len(a), len(b))
	a, b = a[:m], b[:m]
	for n+maxMatch <= m {
		k := common(a[n:], b[n:n+maxMatch])
		n += k
		if k < maxMatch {
			return n
		}
	}
	return n + common(a[n:], b[n:])
}

// commonSuffix is how many bytes a and b have in common at their ends.
func commonSuffix(a, b []byte) (n int) {
	for m := min(len(a), len(b)); n < m && a[len(a)-1-n] == b[len(b)-1-n]; n++ {
	}
	return n
}

// Joiner makes segments of pieces. Its memory is used again; it is not safe for
// concurrent use.
type Joiner struct {
	c      *PieceCoder
	w      bitWriter
	prefix []byte
	before int // length of the text before
	crc    uint32
	len    int64
}

// Begin begins a segment whose texts all begin with prefix.
func (j *Joiner) Begin(c *PieceCoder, prefix []byte) {
	j.c, j.prefix, j.before, j.crc, j.len = c, prefix, 0, 0, 0
	j.w.out = append(j.w.out[:0], c.codes.header[:]...)
	j.w.bits, j.w.n = 0, 0
	j.w.add(c.codes.headerTail, c.codes.headerTailBits)
}

// Position is where the next bits are written.
func (j *Joiner) Position() int { return 8*len(j.w.out) + int(j.w.n) }

// Add appends the text of length n whose piece is in src from a bit on, and returns
// at which bit it is now.
func (j *Joiner) Add(src []byte, from int, p Piece, n int) (at int) {
	if k := len(j.prefix); j.before > 0 && j.before <= window && k >= minRepeat {
		j.c.repeat(&j.w, k, j.before)
	} else {
		j.c.literals(&j.w, j.prefix)
	}
	at = j.Position()
	j.copy(src, from, int(p.Bits))
	j.before = n
	j.len += int64(n)
	j.crc = multiplyCRC(j.crc, j.c.shift(n)) ^ p.CRC
	return at
}

// copy appends n bits of src from a bit on.
func (j *Joiner) copy(src []byte, from, n int) {
	acc, have, out := j.w.bits, j.w.n, j.w.out
	i, skip := from>>3, uint(from&7)
	for ; n >= 32 && i+8 <= len(src); i += 4 {
		acc |= (binary.LittleEndian.Uint64(src[i:]) >> skip & (1<<32 - 1)) << have
		out = binary.LittleEndian.AppendUint32(out, uint32(acc))
		acc >>= 32
		n -= 32
	}
	j.w.bits, j.w.n, j.w.out = acc, have, out
	for n > 0 {
		k := min(n, 8-int(skip))
		j.w.add(uint64(src[i])>>skip&(1<<k-1), uint(k))
		n -= k
		skip = 0
		i++
	}
}

// End ends the segment, which gets memory of its own. One of no text is empty.
func (j *Joiner) End() Segment {
	if j.len == 0 {
		return Segment{}
	}
	j.w.put(j.c.codes.of[endOfBlock])
	j.w.add(0, 3) // an empty stored block, which ends byte-aligned
	j.w.align()
	j.w.out = append(j.w.out, 0, 0, 0xff, 0xff)
	return Segment{Deflated: bytes.Clone(j.w.out), CRC: j.crc, shift: shiftCRC(j.len), Len: j.len}
}
