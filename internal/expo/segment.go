package expo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
)

// Level is the compression level of everything that is written: the quickest.
// On exposition text the higher ones cost several times more for a tenth less.
const Level = 1

// Segment is a run of text already deflated (RFC 1951). Its last block is not
// marked final and it ends on a byte boundary, so segments put one after another
// are one deflate stream, and their checksums combine into the checksum of all.
type Segment struct {
	Deflated []byte
	CRC      uint32 // CRC-32 (IEEE) of the text
	shift    uint32 // what the checksum of a text before is multiplied with; see shiftCRC
	Len      int64  // bytes of the text
}

// Deflater makes segments. It holds the compressor's tables (some hundred kB),
// so one serves many segments; it is not safe for concurrent use.
type Deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

// Deflate compresses text into a segment of its own memory. Empty text is an
// empty segment.
func (d *Deflater) Deflate(text []byte) Segment {
	if len(text) == 0 {
		return Segment{}
	}
	d.out.Reset()
	if d.w == nil {
		w, err := flate.NewWriter(&d.out, Level)
		if err != nil {
			panic("BUG: expo: " + err.Error()) // only for a level that does not exist
		}
		d.w = w
	} else {
		d.w.Reset(&d.out)
	}
	// Writing to a bytes.Buffer cannot fail.
	d.w.Write(text)
	d.w.Flush() // a sync flush: an empty stored block, which ends byte-aligned
	return Segment{
		Deflated: bytes.Clone(d.out.Bytes()),
		CRC:      crc32.ChecksumIEEE(text),
		shift:    shiftCRC(int64(len(text))),
		Len:      int64(len(text)),
	}
}

// Inflate writes the text of the segment.
func (s Segment) Inflate(w io.Writer) error {
	if s.Len == 0 {
		return nil
	}
	r := flate.NewReader(bytes.NewReader(s.Deflated))
	defer r.Close()
	n, err := io.CopyN(w, r, s.Len)
	if err != nil {
		return fmt.Errorf("segment of %d bytes, inflated up to byte %d: %w", s.Len, n, err)
	}
	return nil
}

// Inflater reads segments back. It holds the decompressor's window (some tens of
// kB), so one serves many segments; it is not safe for concurrent use.
type Inflater struct {
	r  io.ReadCloser
	in bytes.Reader
}

// Append appends the text of the segment to dst.
func (i *Inflater) Append(dst []byte, s Segment) ([]byte, error) {
	if s.Len == 0 {
		return dst, nil
	}
	i.in.Reset(s.Deflated)
	if i.r == nil {
		i.r = flate.NewReader(&i.in)
	} else if err := i.r.(flate.Resetter).Reset(&i.in, nil); err != nil {
		return dst, err
	}
	begin := len(dst)
	dst = slices.Grow(dst, int(s.Len))[:begin+int(s.Len)]
	if n, err := io.ReadFull(i.r, dst[begin:]); err != nil {
		return dst[:begin], fmt.Errorf("segment of %d bytes, inflated up to byte %d: %w", s.Len, n, err)
	}
	return dst, nil
}

// Parts of a gzip member around the deflated text (RFC 1952, section 2.3).
var (
	// no flags, no time, fastest compression, unknown system
	gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}
	// a final block of fixed codes that holds only its end
	finalBlock = []byte{3, 0}
)

// Member joins segments into one gzip member.
type Member struct {
	w   io.Writer
	crc uint32
	len int64
	err error
}

// NewMember begins a gzip member on w.
func NewMember(w io.Writer) *Member {
	m := &Member{w: w}
	_, m.err = w.Write(gzipHeader)
	return m
}

// Add appends the text of a segment. The first error stays and is returned by Close.
func (m *Member) Add(s Segment) {
	if m.err != nil || s.Len == 0 {
		return
	}
	m.crc = combineCRC(m.crc, s.CRC, s.shift) // the dear part, the shift, was done when the segment was made
	m.len += s.Len
	_, m.err = m.w.Write(s.Deflated)
}

// MemberOverhead is how many bytes a member has beside those of its segments.
const MemberOverhead = 10 + 2 + 8

// Close ends the member and tells of the first error there was.
func (m *Member) Close() error {
	if m.err != nil {
		return m.err
	}
	tail := binary.LittleEndian.AppendUint32(bytes.Clone(finalBlock), m.crc)
	tail = binary.LittleEndian.AppendUint32(tail, uint32(m.len)) // length modulo 2^32
	_, m.err = m.w.Write(tail)
	return m.err
}

// combineCRC is the CRC-32 (IEEE) of a text A followed by a text B, from the sum
// of each and shiftCRC of B's length. A checksum is a polynomial over GF(2) modulo
// the generator; to follow A by B multiplies A's by x^(8·length of B).
func combineCRC(a, b, shift uint32) uint32 { return multiplyCRC(a, shift) ^ b }

// shiftCRC is the polynomial x^(8·n) modulo the generator.
func shiftCRC(n int64) uint32 {
	shift := uint32(1 << 31)  // the polynomial 1: coefficients are stored lowest power first
	square := uint32(1 << 23) // x^8: one byte
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			shift = multiplyCRC(shift, square)
		}
		square = multiplyCRC(square, square)
	}
	return shift
}

// multiplyCRC is the product of two polynomials modulo the generator, all with
// the coefficient of x^0 in the highest bit.
func multiplyCRC(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}
