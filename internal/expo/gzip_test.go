package expo

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// packed is text as a gzip member, written in pieces of at most piece bytes.
func packed(t testing.TB, z *GzipWriter, text []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	z.Reset(&out)
	for len(text) > 0 {
		n := min(piece, len(text))
		if k, err := z.Write(text[:n]); k != n || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", k, n, err)
		}
		text = text[n:]
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is read back is the text, whatever it is, however it is cut, and whatever
// text the codes were fitted to.
func TestGzipWriter(t *testing.T) {
	noise := make([]byte, 3*maxText)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	texts := map[string][]byte{
		"empty":   nil,
		"short":   []byte("a 1\n"),
		"samples": sampleText(5000),
		"noise":   noise,
		"zeros":   make([]byte, 3*maxText+5),
		"far":     append(append(sampleText(10), noise[:window-20]...), sampleText(10)...),
	}
	z := NewGzipWriter()
	for range 2 {
		for name, text := range texts {
			for _, piece := range []int{1 << 20, 4093, window} {
				if back := gunzip(t, packed(t, z, text, piece)); !bytes.Equal(back, text) {
					t.Errorf("%s, in pieces of %d bytes: %d bytes read back, want %d", name, piece, len(back), len(text))
				}
			}
		}
	}
}

// A text like the last one is packed well: repetitions are found over the seams
// of writes and of the window.
func TestGzipWriterIsTight(t *testing.T) {
	z := NewGzipWriter()
	text := sampleText(5000)
	packed(t, z, text, len(text))
	if n := len(packed(t, z, text, 1000)); n > len(text)/8 {
		t.Errorf("%d bytes of %d", n, len(text))
	}
}

// Widths of 15 bits are the limit: counts for which the best codes would be
// longer are made coarser.
func TestCodesAreNotTooLong(t *testing.T) {
	var n counts
	a, b := uint32(1), uint32(1)
	for i := range 45 { // Fibonacci: the deepest tree there is
		n.of[i], a, b = a, b, a+b
	}
	var c codes
	c.fit(&n)
	for _, codes := range [][]code{c.of[:], c.dist[:]} {
		sum := 0
		for s, of := range codes {
			if of.width < 1 || of.width > maxWidth {
				t.Errorf("symbol %d has %d bits", s, of.width)
			}
			sum += 1 << (maxWidth - of.width)
		}
		if sum != 1<<maxWidth { // Kraft: neither ambiguous nor wasteful
			t.Errorf("the codes fill %d of %d", sum, 1<<maxWidth)
		}
	}
}

type refuse struct{ err error }

func (r refuse) Write([]byte) (int, error) { return 0, r.err }

func TestGzipWriterTellsErrors(t *testing.T) {
	broken := errors.New("broken")
	z := NewGzipWriter()
	z.Reset(refuse{broken})
	io.WriteString(z, strings.Repeat("a_b 1\n", 10))
	if err := z.Close(); err != broken {
		t.Errorf("closed with %v", err)
	}
}

func FuzzGzipWriter(f *testing.F) {
	f.Add([]byte(gzipSample), uint16(7))
	f.Add([]byte("aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaa_aaaa"), uint16(3))
	z := NewGzipWriter()
	f.Fuzz(func(t *testing.T, text []byte, piece uint16) {
		long := bytes.Repeat(text, 1+int(piece)%50)
		if back := gunzip(t, packed(t, z, long, 1+int(piece))); !bytes.Equal(back, long) {
			t.Errorf("%d bytes read back, want %d", len(back), len(long))
		}
	})
}

func BenchmarkGzipWriter(b *testing.B) {
	text := sampleText(5000)
	z := NewGzipWriter()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		z.Reset(io.Discard)
		z.Write(text)
		z.Close()
	}
}
