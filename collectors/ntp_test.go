package collectors

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// ntpServer answers NTP questions on the loopback (RFC 5905, figure 8) until the
// test ends. It returns its port.
func ntpServer(t *testing.T, change func(answer []byte)) int {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 128)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			a := make([]byte, 48)
			a[0] = 0<<6 | b[0]&0x38 | 4 // no leap second, the version asked for, a server
			a[1] = 2                    // stratum
			a[3] = 0xec                 // precision: 2^-20 s
			binary.BigEndian.PutUint32(a[4:], 0x8000)
			binary.BigEndian.PutUint32(a[8:], 0x4000)
			now := time.Now()
			putNTPTime(a[16:], now.Add(-time.Minute))
			copy(a[24:32], b[40:48]) // when the question was sent
			putNTPTime(a[32:], now)
			putNTPTime(a[40:], now)
			change(a)
			conn.WriteTo(a, from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// putNTPTime writes seconds since 1900 and their fraction.
func putNTPTime(b []byte, t time.Time) {
	const from1900 = 2208988800
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+from1900))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}

func TestNTP(t *testing.T) {
	ask := func(t *testing.T, tolerance time.Duration, change func([]byte)) (map[string]float64, error) {
		cfg := DefaultConfig()
		cfg.NTP.Port = ntpServer(t, change)
		cfg.NTP.OffsetTolerance = tolerance
		text, err := renderErr(make1(t, "ntp", cfg))
		return values(t, text), err
	}
	v, err := ask(t, time.Minute, func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"node_ntp_stratum": 2, "node_ntp_leap": 0, "node_ntp_root_delay_seconds": 0.5, "node_ntp_root_dispersion_seconds": 0.25, "node_ntp_sanity": 1,
	} {
		if v[name] != want {
			t.Errorf("%s is %v, want %v", name, v[name], want)
		}
	}
	if age := float64(time.Now().Unix()) - v["node_ntp_reference_timestamp_seconds"]; age < 50 || age > 600 {
		t.Errorf("the clock was set %v s ago, want 60", age)
	}
	if v["node_ntp_rtt_seconds"] < 0 || v["node_ntp_rtt_seconds"] > 1 || v["node_ntp_offset_seconds"] > 30 || v["node_ntp_offset_seconds"] < -30 {
		t.Error(v)
	}

	for name, change := range map[string]func([]byte){
		"clock off by an hour": func(a []byte) {
			putNTPTime(a[32:], time.Now().Add(time.Hour))
			putNTPTime(a[40:], time.Now().Add(time.Hour))
		},
		"far from its reference clock": func(a []byte) { binary.BigEndian.PutUint32(a[4:], 20<<16) },
		"never set":                    func(a []byte) { a[0] |= 3 << 6; clear(a[16:24]) },
	} {
		if v, err := ask(t, time.Minute, change); err != nil || v["node_ntp_sanity"] != 0 {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	if _, err := ask(t, 0, func(a []byte) { clear(a[24:32]) }); err == nil {
		t.Error("an answer to another question passes")
	}
}

func TestNTPLeapSecond(t *testing.T) {
	cfg := DefaultConfig()
	cfg.NTP.OffsetTolerance = 0
	cfg.NTP.Port = ntpServer(t, func(a []byte) {
		a[0] |= 1 << 6
		ahead := time.Now().Add(700 * time.Millisecond)
		putNTPTime(a[32:], ahead)
		putNTPTime(a[40:], ahead)
	})
	if v := values(t, render(t, make1(t, "ntp", cfg))); v["node_ntp_leap"] != 1 || v["node_ntp_sanity"] != 1 {
		t.Errorf("on the day of a leap second: %v", v)
	}
}

func TestNTPConfig(t *testing.T) {
	for name, change := range map[string]func(*NTPConfig){
		"server":    func(c *NTPConfig) { c.Server = "192.0.2.1" },
		"name":      func(c *NTPConfig) { c.Server = "localhost" },
		"version":   func(c *NTPConfig) { c.ProtocolVersion = 5 },
		"port":      func(c *NTPConfig) { c.Port = 65536 },
		"tolerance": func(c *NTPConfig) { c.OffsetTolerance = -1 },
	} {
		cfg := DefaultConfig()
		change(&cfg.NTP)
		if _, err := newNTP(cfg); err == nil {
			t.Errorf("a bad %s passes", name)
		}
	}
	cfg := DefaultConfig()
	cfg.NTP.Server, cfg.NTP.ServerIsLocal = "192.0.2.1", true
	if _, err := newNTP(cfg); err != nil {
		t.Error(err)
	}
}

func TestNTPNobody(t *testing.T) {
	cfg := DefaultConfig()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	cfg.NTP.Port = conn.LocalAddr().(*net.UDPAddr).Port
	conn.Close()
	c := make1(t, "ntp", cfg)
	text, err := renderErr(c)
	if want := fmt.Sprintf("127.0.0.1:%d: ", cfg.NTP.Port); err == nil || text != "" || !strings.Contains(err.Error(), want) {
		t.Fatalf("said %q, %v", text, err)
	}
	for range 3 { // the same each time, so that it is logged once
		if _, again := renderErr(c); again == nil || again.Error() != err.Error() {
			t.Errorf("%v, then %v", err, again)
		}
	}
}
