package expo

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

// pieceText is version v of the n-th text of a family.
func pieceText(n, v int) []byte {
	var b []byte
	for i := range 1 + (n+v)%4 {
		b = fmt.Appendf(b, "some_family{name=\"object-%d\",place=\"%s\",part=\"%d\"} %d\n", n, strings.Repeat("x", n%40*n%40), i, v*i)
	}
	return b
}

const piecePrefix = `some_family{name="`

// joined makes a segment of texts, the pieces of which are where the one before had them
// unless the text is new, and checks it.
func joined(t testing.TB, c *PieceCoder, j *Joiner, prefix string, texts [][]byte, of []Piece, at []int, old []byte) Segment {
	t.Helper()
	var all []byte
	j.Begin(c, []byte(prefix))
	for i, text := range texts {
		if len(text) == 0 {
			continue
		}
		src, from := old, at[i]
		if from < 0 {
			src, of[i] = c.Append([]byte("before"), len(prefix), text)
			from = 8 * len("before")
		}
		at[i] = j.Add(src, from, of[i], len(text))
		all = append(all, text...)
	}
	s := j.End()
	text, err := new(Inflater).Append(nil, s)
	if err != nil || !bytes.Equal(text, all) {
		t.Fatalf("%d bytes joined are read back as %d, %v", len(all), len(text), err)
	}
	if s.CRC != crc32.ChecksumIEEE(all) {
		t.Fatalf("checksum %x of %d bytes, want %x", s.CRC, len(all), crc32.ChecksumIEEE(all))
	}
	return s
}

func TestPieces(t *testing.T) {
	c, j := NewPieceCoder(), new(Joiner)
	const n = 300
	texts, of, at := make([][]byte, n), make([]Piece, n), make([]int, n)
	var s Segment
	for v := range 12 {
		for i := range texts {
			if v == 0 || (i*7+v)%5 == 0 {
				texts[i], at[i] = pieceText(i, v), -1
				if (i+v)%11 == 0 {
					texts[i] = nil
				}
			}
		}
		s = joined(t, c, j, piecePrefix, texts, of, at, s.Deflated)
	}
	// Beside other segments it is a part of one member.
	var out bytes.Buffer
	m := NewMember(&out)
	d := new(Deflater)
	m.Add(d.Deflate([]byte("before\n")))
	m.Add(s)
	m.Add(d.Deflate([]byte("after\n")))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + string(bytes.Join(texts, nil)) + "after\n"; string(gunzip(t, out.Bytes())) != want {
		t.Error("the member is another text")
	}
	if s := joined(t, c, j, piecePrefix, nil, nil, nil, nil); s.Deflated != nil {
		t.Errorf("no text is the segment %x", s.Deflated)
	}
}

// Repetitions that are longer or further back than deflate can say.
func TestPiecesLong(t *testing.T) {
	c := NewPieceCoder()
	for _, n := range []int{1, 2, 3, 257, 258, 259, 260, 261, 262, 515, 516, 517, 518, window - 10, window, window + 1, 3 * window} {
		line := piecePrefix + strings.Repeat("y", n)
		text := []byte(line + "1\n" + line + "2\n" + line)
		texts := [][]byte{text, text, []byte(piecePrefix), text}
		joined(t, c, new(Joiner), piecePrefix, texts, make([]Piece, 4), []int{-1, -1, -1, -1}, nil)
		joined(t, c, new(Joiner), line, [][]byte{text, text}, make([]Piece, 2), []int{-1, -1}, nil)
	}
}

// Any texts, of which one is replaced.
func FuzzPieces(f *testing.F) {
	f.Add("p{", "a\nb\n", "c", "p{\np{\n\n")
	f.Add("", "\n\n", "\n", "x")
	f.Add(strings.Repeat("z", 300), strings.Repeat("ab\n", 100), strings.Repeat("b", 33000), "\x00\xff")
	c := NewPieceCoder()
	f.Fuzz(func(t *testing.T, prefix, a, b, d string) {
		texts := [][]byte{[]byte(prefix + a), []byte(prefix + b), []byte(prefix + a + d), []byte(prefix + d)}
		of, at := make([]Piece, len(texts)), []int{-1, -1, -1, -1}
		s := joined(t, c, new(Joiner), prefix, texts, of, at, nil)
		texts[1], at[1] = []byte(prefix+d+b), -1
		s = joined(t, c, new(Joiner), prefix, texts, of, at, s.Deflated)
		texts[0] = nil
		joined(t, c, new(Joiner), prefix, texts, of, at, s.Deflated)
	})
}

func BenchmarkPiece(b *testing.B) {
	c := NewPieceCoder()
	text, out := pieceText(38, 3), []byte(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		out, _ = c.Append(out[:0], len(piecePrefix), text)
	}
}

// BenchmarkJoin is a segment of 256 pieces of which none is new; an operation is one piece.
func BenchmarkJoin(b *testing.B) {
	c, j := NewPieceCoder(), new(Joiner)
	const n = 256
	texts, of, at := make([][]byte, n), make([]Piece, n), make([]int, n)
	for i := range texts {
		texts[i], at[i] = pieceText(i, 3), -1
	}
	s := joined(b, c, j, piecePrefix, texts, of, at, nil)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		j.Begin(c, []byte(piecePrefix))
		for k := range texts {
			j.Add(s.Deflated, at[k], of[k], len(texts[k]))
		}
		j.End()
	}
}
