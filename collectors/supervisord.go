package collectors

// Processes of supervisord, by its method supervisor.getAllProcessInfo of XML-RPC
// (http://supervisord.org/api.html), over HTTP or a Unix socket. Its states are
// 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, 100 EXITED, 200 FATAL
// and 1000 UNKNOWN.

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
)

var (
	supervisordUp    = expo.Gauge("node_supervisord_up", "Whether the process runs: is starting, running or stopping.", "group", "name")
	supervisordState = expo.Gauge("node_supervisord_state", "State of the process, as supervisord numbers them.", "group", "name")
	supervisordExit  = expo.Gauge("node_supervisord_exit_status", "What the process ended with last, 0 if it has not.", "group", "name")
	supervisordStart = expo.Counter("node_supervisord_start_time_seconds", "When the process was started, in seconds since 1970. Only while it runs.", "group", "name")
)

// DefaultSupervisordURL is where supervisord listens.
const DefaultSupervisordURL = "http://localhost:9001/RPC2"

// SupervisordConfig configures the supervisord collector.
type SupervisordConfig struct {
	URL string // http, https, or unix:///path/of/the/socket
}

// maxSupervisordAnswer is above what thousands of processes make.
const maxSupervisordAnswer = 16 << 20

type supervisord struct {
	url    string
	client *http.Client
}

func newSupervisord(c Config) (Collector, error) {
	u, err := url.Parse(c.Supervisord.URL)
	if err != nil {
		return nil, fmt.Errorf("collector.supervisord.url: %w", err)
	}
	transport := &http.Transport{MaxIdleConns: 1, IdleConnTimeout: 5 * time.Minute}
	switch u.Scheme {
	case "http", "https":
	case "unix":
		socket := u.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		u = &url.URL{Scheme: "http", User: u.User, Host: "unix", Path: "/RPC2"}
	default:
		return nil, fmt.Errorf("collector.supervisord.url: %q is of no scheme that is known: http, https, unix", u.Redacted())
	}
	return &supervisord{u.String(), &http.Client{Transport: transport}}, nil
}

// Collect implements Collector.
func (s *supervisord) Collect(ctx context.Context, w *expo.Writer) error {
	b, err := s.ask(ctx)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) { // nothing listens
		return fmt.Errorf("%w: %w", ErrNoData, err)
	}
	if err != nil {
		return fmt.Errorf("supervisord: %w", err)
	}
	processes, err := parseSupervisord(b)
	if err != nil {
		return fmt.Errorf("supervisord: %w", err)
	}
	for _, p := range processes {
		up := 0.0
		if p.running() {
			up = 1
		}
		w.Sample(supervisordUp, up, p.group, p.name)
	}
	for _, p := range processes {
		w.Sample(supervisordState, float64(p.state), p.group, p.name)
	}
	for _, p := range processes {
		w.Sample(supervisordExit, float64(p.exitStatus), p.group, p.name)
	}
	for _, p := range processes {
		if p.running() {
			w.Sample(supervisordStart, float64(p.start), p.group, p.name)
		}
	}
	return nil
}

func (s *supervisord) ask(ctx context.Context) ([]byte, error) {
	const call = `<?xml version="1.0"?><methodCall><methodName>supervisor.getAllProcessInfo</methodName><params></params></methodCall>`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(call))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "text/xml")
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", r.URL.Redacted(), answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxSupervisordAnswer+1))
	if err == nil && len(b) > maxSupervisordAnswer {
		err = fmt.Errorf("%s answers with more than %d bytes", r.URL.Redacted(), maxSupervisordAnswer)
	}
	return b, err
}

// supervisedProcess is one process.
type supervisedProcess struct {
	group, name              string
	state, exitStatus, start int64
}

func (p supervisedProcess) running() bool { return p.state == 10 || p.state == 20 || p.state == 40 }

// rpcValue is a value of XML-RPC: one of its parts. A string may stand without
// its element.
type rpcValue struct {
	Int    *string    `xml:"int"`
	I4     *string    `xml:"i4"`
	String *string    `xml:"string"`
	Text   string     `xml:",chardata"`
	Array  []rpcValue `xml:"array>data>value"`
	Struct []struct {
		Name  string   `xml:"name"`
		Value rpcValue `xml:"value"`
	} `xml:"struct>member"`
}

func (v rpcValue) text() string {
	for _, s := range []*string{v.String, v.Int, v.I4} {
		if s != nil {
			return *s
		}
	}
	return v.Text
}

// parseSupervisord reads the answer.
func parseSupervisord(b []byte) ([]supervisedProcess, error) {
	var answer struct {
		XMLName xml.Name   `xml:"methodResponse"`
		Params  []rpcValue `xml:"params>param>value"`
		Fault   *rpcValue  `xml:"fault>value"`
	}
	if err := xml.NewDecoder(bytes.NewReader(b)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%w in the answer %.100q", err, b)
	}
	if answer.Fault != nil {
		for _, m := range answer.Fault.Struct {
			if m.Name == "faultString" {
				return nil, fmt.Errorf("it refuses: %.200s", m.Value.text())
			}
		}
		return nil, errors.New("it refuses, and does not say why")
	}
	if len(answer.Params) != 1 {
		return nil, fmt.Errorf("%d values in the answer %.100q, want one", len(answer.Params), b)
	}
	var processes []supervisedProcess
	for _, v := range answer.Params[0].Array {
		p, err := parseSupervised(v)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p)
	}
	return processes, nil
}

func parseSupervised(v rpcValue) (p supervisedProcess, err error) {
	hasState := false
	for _, m := range v.Struct {
		text := m.Value.text()
		var number *int64
		switch m.Name {
		case "name":
			p.name = text
		case "group":
			p.group = text
		case "state":
			number, hasState = &p.state, true
		case "exitstatus":
			number = &p.exitStatus
		case "start":
			number = &p.start
		}
		if number == nil {
			continue
		}
		if *number, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64); err != nil {
			return p, fmt.Errorf("process %.200q: %s: %w", p.name, m.Name, err)
		}
	}
	if p.name == "" || !hasState {
		return p, fmt.Errorf("a process %.200q without name or state", p.name)
	}
	return p, nil
}
