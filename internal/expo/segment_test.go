package expo

import (
	"bytes"
	stdgzip "compress/gzip"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// sampleText is n lines of exposition text.
func sampleText(n int) []byte {
	var w Writer
	for i := range n {
		w.Sample(cpuSeconds, float64(i)*1.25, "0123456789"[i%10:i%10+1], "user")
	}
	return w.Bytes()
}

// join makes one gzip member of texts, each its own segment.
func join(t testing.TB, texts ...[]byte) []byte {
	return joinWith(t, new(Deflater), texts...)
}

func joinWith(t testing.TB, d *Deflater, texts ...[]byte) []byte {
	var out bytes.Buffer
	m := NewMember(&out)
	for _, text := range texts {
		s := d.Deflate(text)
		var back bytes.Buffer
		if err := s.Inflate(&back); err != nil || !bytes.Equal(back.Bytes(), text) {
			t.Fatalf("segment of %d bytes reads back %d: %v", len(text), back.Len(), err)
		}
		m.Add(s)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// gunzip reads one member and insists that nothing follows it.
func gunzip(t testing.TB, b []byte) []byte {
	in := bytes.NewReader(b)
	r, err := stdgzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if in.Len() > 0 {
		t.Fatalf("%d bytes after the member", in.Len())
	}
	return text
}

func TestMemberIsOneForGo(t *testing.T) {
	for _, texts := range [][][]byte{
		{}, {nil}, {[]byte("a")}, {[]byte("a"), nil, []byte("b")},
		{sampleText(1), sampleText(5000), sampleText(3)},
		{bytes.Repeat([]byte("x"), 1<<20), sampleText(10)},
	} {
		b := join(t, texts...)
		want := bytes.Join(texts, nil)
		if got := gunzip(t, b); !bytes.Equal(got, want) {
			t.Errorf("%d segments: got %d bytes, want %d", len(texts), len(got), len(want))
		}
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("klauspost: %d bytes, %v", len(got), err)
		}
	}
}

// zlib itself, through whichever program that has it is there.
func TestMemberIsOneForZlib(t *testing.T) {
	want := append(sampleText(3000), sampleText(2)...)
	b := join(t, sampleText(3000), sampleText(2))
	programs := [][]string{
		{"python3", "-c", "import sys, zlib\nd = zlib.decompressobj(31)\nsys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))\nassert d.eof and not d.unused_data"},
		{"node", "-e", "const z = require('zlib'), b = require('fs').readFileSync(0); process.stdout.write(z.gunzipSync(b))"},
	}
	ran := 0
	for _, p := range programs {
		if _, err := exec.LookPath(p[0]); err != nil {
			continue
		}
		ran++
		cmd := exec.Command(p[0], p[1:]...)
		cmd.Stdin = bytes.NewReader(b)
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, want %d, error %v", p[0], len(got), len(want), err)
		}
	}
	if ran == 0 {
		t.Skip("neither python3 nor node is there to run zlib")
	}
}

func TestMemberIsOneForCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	want := append(sampleText(700), sampleText(20)...)
	b := join(t, sampleText(700), sampleText(20))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("curl did not ask for gzip")
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(b)
	}))
	defer server.Close()
	got, err := exec.Command("curl", "--silent", "--show-error", "--fail", "--compressed", "--noproxy", "*", server.URL).Output()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d, error %v", len(got), len(want), err)
	}
}

func TestMemberKeepsFirstError(t *testing.T) {
	var d Deflater
	m := NewMember(full{})
	m.Add(d.Deflate([]byte("text")))
	if err := m.Close(); err == nil || err != io.ErrShortWrite {
		t.Errorf("got %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestInflateTruncated(t *testing.T) {
	var d Deflater
	s := d.Deflate(sampleText(1000))
	s.Deflated = s.Deflated[:len(s.Deflated)/2]
	if err := s.Inflate(io.Discard); err == nil || !strings.Contains(err.Error(), "inflated up to byte") {
		t.Errorf("got %v", err)
	}
}

func FuzzMember(f *testing.F) {
	f.Add([]byte("node_load1 1\n"), []byte(""), uint16(3))
	f.Add(sampleText(300), []byte{0, 255, 0}, uint16(0))
	var d Deflater
	f.Fuzz(func(t *testing.T, a, b []byte, cut uint16) {
		at := min(int(cut), len(a))
		if got, want := gunzip(t, joinWith(t, &d, a[:at], b, a[at:])), bytes.Join([][]byte{a[:at], b, a[at:]}, nil); !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := combineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), shiftCRC(int64(len(b)))), crc32.ChecksumIEEE(append(bytes.Clone(a), b...)); got != want {
			t.Errorf("combined CRC %08x, want %08x", got, want)
		}
	})
}

func BenchmarkDeflate(b *testing.B) {
	text := sampleText(5000)
	var d Deflater
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d.Deflate(text)
	}
}

func BenchmarkCombineCRC(b *testing.B) {
	for b.Loop() {
		combineCRC(0x12345678, 0x9abcdef0, shiftCRC(1<<20))
	}
}
