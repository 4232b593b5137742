package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"watchpost/bench/internal/agent"
)

// counting is a server that says one collection is shared by ten scrapes.
func counting(t *testing.T, status func(n int64) int) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := n.Add(1)
		w.WriteHeader(status(now))
		fmt.Fprintf(w, "watchpost_scrapes_total %d\nwatchpost_collections_total %d\n", now, now/10)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name   string
		status func(n int64) int
		fails  bool
	}{
		{"all answered", func(int64) int { return 200 }, false},
		{"some refused", func(n int64) int {
			if n == 5 {
				return 503
			}
			return 200
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := counting(t, c.status)
			o := options{clients: 4, duration: 100 * time.Millisecond, timeout: 5 * time.Second}
			r, err := o.load(context.Background(), s.URL, agent.NewUsage(os.Getpid()))
			if err != nil {
				t.Fatal(err)
			}
			if r.answers == 0 || r.peak == 0 || r.before == 0 || r.after == 0 || r.scrapes < float64(r.answers) || r.collections > r.scrapes/2 {
				t.Errorf("%+v", r)
			}
			if err := o.judge(r); (err != nil) != c.fails || c.fails && !strings.Contains(err.Error(), "503") {
				t.Errorf("judged %v", err)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	good := result{answers: 100, scrapes: 100, collections: 10, peak: 20e6}
	for _, c := range []struct {
		name   string
		change func(*result)
		want   string
	}{
		{"good", func(*result) {}, ""},
		{"nothing answered", func(r *result) { *r = result{} }, "no scrape was answered"},
		{"not shared", func(r *result) { r.collections = 90 }, "not shared"},
		{"memory", func(r *result) { r.peak = 31e6 }, "31.0 MB are over"},
		{"slow client", func(r *result) { r.slowErr = errors.New("was not cut off") }, "not cut off"},
	} {
		r := good
		c.change(&r)
		err := (&options{clients: 200, maxRSS: 30}).judge(r)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestParseCounters(t *testing.T) {
	got, err := parseCounters([]byte("# TYPE x gauge\nx 1\nwatchpost_scrapes_total 7\nwatchpost_collections_total 3\n"))
	if err != nil || got != (counted{7, 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"watchpost_scrapes_total 7\n":   "has no watchpost",
		"watchpost_scrapes_total few\n": "not a number",
		"{\n":                           "no closing brace",
	} {
		if _, err := parseCounters([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestDribble(t *testing.T) {
	hangup := httptest.NewUnstartedServer(http.NotFoundHandler())
	hangup.Config.ReadHeaderTimeout = 200 * time.Millisecond
	hangup.Start()
	defer hangup.Close()
	if took, err := dribble(context.Background(), hangup.URL, time.Minute); err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	// One that never hangs up.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := dribble(context.Background(), "http://"+l.Addr().String()+"/", time.Millisecond); err == nil || !strings.Contains(err.Error(), "not cut off") {
		t.Errorf("%v", err)
	}
}
