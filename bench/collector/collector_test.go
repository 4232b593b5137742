package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"watchpost/bench/internal/store"
	"watchpost/internal/expo"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// values are the lines of a page without comments: name and labels, and the value.
func values(t *testing.T, text []byte) map[string]string {
	t.Helper()
	vs := make(map[string]string)
	sc := expo.NewScanner(text)
	for sc.Next() {
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if _, twice := vs[line[:i]]; twice {
			t.Errorf("%q is there twice", line[:i])
		}
		vs[line[:i]] = strings.TrimSpace(line[i:])
	}
	return vs
}

func TestPage(t *testing.T) {
	for _, n := range []int{1, 5, 64, 65, 300, 760, 2500, 2501} {
		if got := len(values(t, newPage(3, n).append(nil, noon))); got != n {
			t.Errorf("a page of %d series has %d", n, got)
		}
	}
}

// Between two scrapes most values stay, as on a real host, the others move, and no
// counter falls.
func TestPageMoves(t *testing.T) {
	p := newPage(7, 760)
	moved := 0
	for i := range p.parts {
		for j := range p.parts[i].series {
			s := &p.parts[i].series[j]
			last := s.value(float64(noon.Unix()))
			if last < 0 {
				t.Errorf("%s begins at %g", s.text, last)
			}
			for tick := 1; tick <= 60; tick++ {
				v := s.value(float64(noon.Unix() + int64(tick)*10))
				if (s.motion == whole || s.motion == seconds) && v < last || s.motion == still && v != last {
					t.Fatalf("%s goes from %g to %g", s.text, last, v)
				}
				if v != last && tick == 1 {
					moved++
				}
				last = v
			}
		}
	}
	if moved < 250 || moved > 400 {
		t.Errorf("%d of 760 values moved; of a busy host a third to a half do", moved)
	}
}

func TestTargets(t *testing.T) {
	ts, err := listen(3, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer ts.close()
	for _, encoding := range []string{"gzip", "identity"} {
		req, err := http.NewRequest(http.MethodGet, "http://"+ts.addresses[2]+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", encoding)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body io.Reader = resp.Body
		if encoding == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(values(t, text)); got != 100 {
			t.Errorf("%s: %d series", encoding, got)
		}
	}
}

func TestResultGaps(t *testing.T) {
	at := func(seconds ...float64) (r store.Series) {
		for _, s := range seconds {
			r.Values = append(r.Values, store.Sample{At: noon.Add(time.Duration(s * float64(time.Second))), Value: 1})
		}
		return r
	}
	broken := at(5, 15, 25, 35, 45, 55)
	broken.Values[2].Value = 0
	for _, c := range []struct {
		name           string
		r              store.Series
		missed, failed int
	}{
		{"whole", at(5, 15, 25, 35, 45, 55), 0, 0},
		{"late ones", at(5, 18, 25, 39, 45, 55), 0, 0},
		{"one in the middle", at(5, 15, 35, 45, 55), 1, 0},
		{"two in the middle", at(5, 15, 45, 55), 2, 0},
		{"the first two", at(25, 35, 45, 55), 2, 0},
		{"the last two", at(5, 15, 25, 35), 2, 0},
		{"a failure", broken, 0, 1},
		{"nothing", at(), 5, 0},
	} {
		if missed, failed := gapsIn(c.r, noon, noon.Add(time.Minute), 10*time.Second); missed != c.missed || failed != c.failed {
			t.Errorf("%s: %d missed and %d failed; want %d and %d", c.name, missed, failed, c.missed, c.failed)
		}
	}
}

func TestTable(t *testing.T) {
	peer := cost{name: "peer", rss: 1000e6, peak: 2000e6, cpu: time.Minute, steady: time.Minute, restart: time.Second}
	ours := cost{name: "ours", rss: 600e6, peak: 900e6, cpu: time.Minute, steady: 50 * time.Second, restart: time.Second}
	var out strings.Builder
	if err := table(&out, peer, ours, true); err != nil {
		t.Errorf("everything is within its limit, and yet: %v", err)
	}
	if !strings.Contains(out.String(), "0.600      0.7") {
		t.Errorf("no ratio in\n%s", out.String())
	}
	ours.rss, ours.restart, ours.gaps.holes = 701e6, 2*time.Second, 3
	err := table(&out, peer, ours, true)
	for _, want := range []string{"RSS, mean", "start until ready (s)", "3 gaps"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if err := table(&out, peer, ours, false); err != nil {
		t.Errorf("limits were not asked for, and yet: %v", err)
	}
}
