// Package serve is the HTTP shell of all programs: it listens on TCP and unix
// sockets, speaks TLS and asks for passwords as exporter-toolkit's web
// configuration says, bounds what clients can cost, tells of health and
// readiness, and stops gracefully.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/mdlayher/vsock"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"

	"watchpost/internal/run"
)

// What a client may cost, unless Config says otherwise.
const (
	// HeaderTimeout bounds the time from the first byte of a request to the end
	// of its headers: a client that dribbles is cut off.
	HeaderTimeout = 5 * time.Second
	// ReadTimeout bounds the same including the body.
	ReadTimeout = 30 * time.Second
	// WriteTimeout bounds the time from the end of the headers to the end of the answer.
	WriteTimeout = time.Minute
	// IdleTimeout closes kept connections; longer than usual scrape intervals.
	IdleTimeout = 5 * time.Minute
	// MaxHeaderBytes bounds the request line and headers.
	MaxHeaderBytes = 32 << 10
	// MaxConns bounds the open connections of one address; more wait in the
	// kernel's queue.
	MaxConns = 512
	// StopTimeout is how long answers under way may take when the program stops.
	StopTimeout = 3 * time.Second
)

// Config says where and how to listen.
type Config struct {
	Program string // the program's name, for the landing page and logs
	Version string // its version, for the landing page

	Addresses     []string // host:port, unix:/path/to/socket or vsock://:port
	AddressFlag   string   // the flag that sets them, for errors; "" is --web.listen-address
	SystemdSocket bool     // listen on the sockets that systemd passes instead
	WebConfigFile string   // exporter-toolkit's file for TLS and authentication; "" is neither
	Pprof         bool     // serve /debug/pprof/

	// Guard, if any, is put around the profiles, and is for callers to put around
	// what else not everybody may see.
	Guard func(http.Handler) http.Handler

	// Zero is the constant of the same name.
	HeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	MaxConns                                              int

	Log *slog.Logger
}

// Server is an HTTP server of one program, on all its addresses.
type Server struct {
	cfg       Config
	mux       *http.ServeMux
	raw       []rawPath // before mux
	listeners []net.Listener
	ready     []check
	landing   Landing
	stopping  atomic.Bool
}

// check is one condition of readiness.
type check struct {
	name string
	ask  func() error
}

// New makes a Server. It checks the web configuration file, so that a broken one
// is told before anything starts.
func New(cfg Config) (*Server, error) {
	if cfg.WebConfigFile != "" {
		if err := web.Validate(cfg.WebConfigFile); err != nil {
			return nil, fmt.Errorf("web configuration %s: %w", cfg.WebConfigFile, err)
		}
	}
	if len(cfg.Addresses) == 0 && !cfg.SystemdSocket {
		return nil, errors.New("no address to listen on")
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	for _, alive := range []string{"GET /healthz", "GET /livez"} { // what Kubernetes' own programs call it
		s.mux.HandleFunc(alive, func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	}
	s.mux.HandleFunc("GET /readyz", s.serveReady)
	if cfg.Pprof {
		s.handleProfiles()
	}
	return s, nil
}

// handleProfiles serves the profiles of this program.
func (s *Server) handleProfiles() {
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		guarded := http.Handler(h)
		if s.cfg.Guard != nil {
			guarded = s.cfg.Guard(guarded)
		}
		s.mux.Handle("/debug/pprof/"+path, guarded)
	}
}

// Handle serves a pattern of http.ServeMux.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// HandleRaw serves all paths that begin with prefix, as they are: to http.ServeMux
// "a//b" and "a/../b" are other spellings of another path, to which it redirects.
func (s *Server) HandleRaw(prefix string, h http.Handler) {
	s.raw = append(s.raw, rawPath{prefix, h})
}

// rawPath is what HandleRaw was told.
type rawPath struct {
	prefix  string
	handler http.Handler
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, p := range s.raw {
		if strings.HasPrefix(r.URL.Path, p.prefix) {
			p.handler.ServeHTTP(w, r)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// ReadyWhen adds a condition to /readyz: an error says what is missing.
func (s *Server) ReadyWhen(name string, ask func() error) {
	s.ready = append(s.ready, check{name, ask})
}

// serveReady lists the conditions, each with its state.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	status := http.StatusOK
	if s.stopping.Load() {
		status = http.StatusServiceUnavailable
		text.WriteString("stopping\n")
	}
	for _, c := range s.ready {
		if err := c.ask(); err != nil {
			status = http.StatusServiceUnavailable
			fmt.Fprintf(&text, "%s: %v\n", c.name, err)
		} else {
			fmt.Fprintf(&text, "%s: ok\n", c.name)
		}
	}
	if text.Len() == 0 {
		text.WriteString("ok\n")
	}
	plain(w, status, text.String())
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// Listen opens all addresses, so that one that is taken is told before anything
// starts. The error says which.
func (s *Server) Listen() error {
	if s.cfg.SystemdSocket {
		ls, err := activation.Listeners()
		if err != nil {
			return fmt.Errorf("sockets from systemd: %w", err)
		}
		if len(ls) == 0 {
			return errors.New("no sockets from systemd: start it by a .socket unit, or without --web.systemd-socket")
		}
		s.listeners = ls
		return nil
	}
	for _, a := range s.cfg.Addresses {
		l, err := listen(a)
		if err != nil {
			s.close()
			return fmt.Errorf("cannot listen on %s: %w; free it or choose another with %s", a, err, cmp.Or(s.cfg.AddressFlag, "--web.listen-address"))
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *Server) close() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
}

// SocketMode is the permission of unix sockets: the owner and its group.
const SocketMode = 0o660

func listen(address string) (net.Listener, error) {
	if port, ok := strings.CutPrefix(address, "vsock://:"); ok {
		n, err := strconv.ParseUint(port, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("port %q is not a number", port)
		}
		return vsock.Listen(uint32(n), nil)
	}
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return net.Listen("tcp", address)
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, SocketMode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeDeadSocket removes a socket that nobody listens on any more, as a
// program that was killed leaves it behind. Anything else stays.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fmt.Errorf("another program listens on %s", path)
	}
	return os.Remove(path)
}

// URLs are the addresses under which the server is reached from this host, once
// it listens.
func (s *Server) URLs() []string {
	scheme := "http"
	if tls, err := UsesTLS(s.cfg.WebConfigFile); err == nil && tls {
		scheme = "https"
	}
	var urls []string
	for _, l := range s.listeners {
		switch a := l.Addr().(type) {
		case *net.TCPAddr:
			host := a.IP.String()
			if a.IP.IsUnspecified() {
				host = "localhost"
			}
			urls = append(urls, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(a.Port)))
		case *net.UnixAddr:
			urls = append(urls, "unix:"+a.Name)
		default:
			urls = append(urls, a.Network()+":"+a.String())
		}
	}
	return urls
}

// Task serves until it is stopped; then answers under way may end, within StopTimeout.
func (s *Server) Task() run.Task {
	return run.Task{Name: s.cfg.Program + " web server", Run: s.serve, Grace: StopTimeout + time.Second}
}

func (s *Server) serve(ctx context.Context, ready func()) error {
	if len(s.listeners) == 0 {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	if s.landing.Path != "" {
		s.mux.HandleFunc("GET "+s.landing.Path, s.serveLanding)
	}
	// A server for each address: exporter-toolkit wraps the handler of the one it is given.
	var servers []*http.Server
	ended := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		srv := s.server()
		servers = append(servers, srv)
		flags := &web.FlagConfig{WebConfigFile: &s.cfg.WebConfigFile}
		conns := cmp.Or(s.cfg.MaxConns, MaxConns)
		go func() {
			ended <- web.Serve(netutil.LimitListener(l, conns), srv, flags, s.toolkitLog())
		}()
	}
	ready()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTimeout)
	defer cancel()
	for _, srv := range servers {
		if srv.Shutdown(late) != nil {
			srv.Close()
		}
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// toolkitLog is the logger for exporter-toolkit, whose lines at the info level
// would say for each address what the program says itself in one.
func (s *Server) toolkitLog() *slog.Logger {
	if s.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		return s.cfg.Log
	}
	return slog.New(atLeast{s.cfg.Log.Handler(), slog.LevelWarn})
}

// atLeast is a log handler that drops what is below a level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (s *Server) server() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: cmp.Or(s.cfg.HeaderTimeout, HeaderTimeout),
		ReadTimeout:       cmp.Or(s.cfg.ReadTimeout, ReadTimeout),
		WriteTimeout:      cmp.Or(s.cfg.WriteTimeout, WriteTimeout),
		IdleTimeout:       cmp.Or(s.cfg.IdleTimeout, IdleTimeout),
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}
