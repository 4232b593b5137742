// Package consul keeps a program registered with the Consul agent of its host, as
// a service with a health check, for as long as the program runs. It never holds
// the program up: neither its start, nor by more than StopTimeout its end.
//
// The client is our own, for three calls: see docs/design/consul.md.
package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchpost/internal/run"
)

// When things happen.
const (
	lookEvery = 30 * time.Second // Consul is asked whether it still knows the service
	retryMin  = time.Second      // the first wait after an error; it doubles
	retryMax  = time.Minute      // the longest one

	// StopTimeout bounds the time that the program's end waits for Consul.
	StopTimeout = 2 * time.Second
	// MinDeregisterAfter is the shortest time after which Consul removes services.
	MinDeregisterAfter = time.Minute
)

// Kinds of health checks.
const (
	CheckHTTP = "http" // GET /healthz
	CheckTCP  = "tcp"  // a connection; where /healthz asks for passwords or certificates
	CheckNone = "none"
)

// Config says what to register, and where.
type Config struct {
	Address   string // of Consul's agent: http(s)://host:port or unix:///path
	TokenFile string // a file with an ACL token, read at each call; "" is none

	Service string // the name of the service
	Node    string // this host, in the service's id and its meta "node"
	IP      string // under which the program is reached; "" is what it listens on, or Consul's own
	Port    int    // 0 is the one that it listens on
	Tags    []string
	Meta    map[string]string // added to node, scheme and metrics_path

	MetricsPath string // in the meta "metrics_path"

	Check           string // CheckHTTP, CheckTCP or CheckNone
	Interval        time.Duration
	Timeout         time.Duration
	DeregisterAfter time.Duration // how long the check may fail until Consul removes the service; 0 is for ever

	Log *slog.Logger
}

// Registration keeps the service registered.
type Registration struct {
	cfg    Config
	client *client
	log    *slog.Logger

	service service
	fixed   bool   // the service's address is not ours to find out
	last    string // the error that was logged last
	asked   bool   // Consul may know the service from us
	known   bool   // Consul knew it when it was asked last

	registered prometheus.Gauge
	failures   *prometheus.CounterVec

	wait func(time.Duration) time.Duration // spreads calls of many hosts
}

// New checks cfg and makes a Registration. Nothing is sent.
func New(cfg Config) (*Registration, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c, err := newClient(cfg.Address, cfg.TokenFile)
	if err != nil {
		return nil, err
	}
	r := &Registration{
		cfg: cfg, client: c, log: cfg.Log, wait: jitter,
		registered: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "watchpost_consul_registered", Help: "Whether Consul knew the service (1) or not (0) when it was asked last.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchpost_consul_errors_total", Help: "Calls of Consul that failed, by what was asked for.",
		}, []string{"call"}),
	}
	for _, call := range []string{"register", "look"} {
		r.failures.WithLabelValues(call)
	}
	return r, nil
}

// validate tells what is wrong. Consul's own limits for meta are in
// https://developer.hashicorp.com/consul/api-docs/agent/service#meta
func (cfg Config) validate() error {
	const maxMeta, maxKey, maxValue = 64, 128, 512
	if cfg.Service == "" || cfg.Node == "" {
		return errors.New("a service in Consul needs a name and a node")
	}
	if strings.ContainsFunc(cfg.Service+cfg.Node, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		return fmt.Errorf("service %q and node %q: no blanks or slashes for Consul", cfg.Service, cfg.Node)
	}
	if cfg.IP != "" {
		if ip, err := netip.ParseAddr(cfg.IP); err != nil || ip.IsUnspecified() {
			return fmt.Errorf("%q is not an IP address that Consul could tell others", cfg.IP)
		}
	}
	if cfg.Port < 0 || cfg.Port > 65535 {
		return fmt.Errorf("port %d for Consul is not one", cfg.Port)
	}
	if !slices.Contains([]string{CheckHTTP, CheckTCP, CheckNone}, cfg.Check) {
		return fmt.Errorf("check %q for Consul: want http, tcp or none", cfg.Check)
	}
	if cfg.Check != CheckNone && (cfg.Interval < time.Second || cfg.Timeout <= 0) {
		return errors.New("a check by Consul needs a timeout, and an interval of at least 1s")
	}
	if cfg.DeregisterAfter != 0 && (cfg.DeregisterAfter < MinDeregisterAfter || cfg.Check == CheckNone) {
		return fmt.Errorf("services whose check fails are removed by Consul after %s at the soonest", MinDeregisterAfter)
	}
	if len(cfg.Meta) > maxMeta-len(cfg.meta("")) {
		return fmt.Errorf("%d meta are too many for Consul", len(cfg.Meta))
	}
	for k, v := range cfg.Meta {
		plain := !strings.ContainsFunc(k, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if k == "" || !plain || len(k) > maxKey || len(v) > maxValue || strings.HasPrefix(k, "consul-") {
			return fmt.Errorf("meta %q=%q is not for Consul: keys of letters, digits, - and _, not more than %d bytes, values not more than %d", k, v, maxKey, maxValue)
		}
	}
	return nil
}

// meta is what every service tells of itself.
func (cfg Config) meta(scheme string) map[string]string {
	return map[string]string{"node": cfg.Node, "scheme": scheme, "metrics_path": cfg.MetricsPath}
}

// Collectors are the metrics about the registration.
func (r *Registration) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.registered, r.failures}
}

// Listening tells where the program listens: URLs as serve.Server has them, of
// which the first one by TCP counts. To be called before the task runs.
func (r *Registration) Listening(urls []string) error {
	var scheme, host string
	port := r.cfg.Port
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Port() == "" {
			continue // a socket
		}
		scheme, host = u.Scheme, u.Hostname()
		if port == 0 {
			port, _ = strconv.Atoi(u.Port())
		}
		break
	}
	if port == 0 {
		return errors.New("no port to register in Consul: say it by --consul.port, or listen on TCP")
	}
	address := r.cfg.IP
	if ip, err := netip.ParseAddr(host); err == nil && address == "" {
		address = ip.String()
	}
	scheme = cmp.Or(scheme, "http")
	s := service{
		ID: r.cfg.Service + "-" + r.cfg.Node + "-" + strconv.Itoa(port), Name: r.cfg.Service,
		Tags: slices.Clone(r.cfg.Tags), Address: address, Port: port, Meta: r.cfg.meta(scheme),
	}
	maps.Copy(s.Meta, r.cfg.Meta)
	r.service, r.fixed = s, address != ""
	return nil
}

// check is the health check of the service, made by Consul's agent. Where it is
// not said how the program is reached, the agent is on the same host.
func (r *Registration) check() *check {
	if r.cfg.Check == CheckNone {
		return nil
	}
	at := net.JoinHostPort(cmp.Or(r.service.Address, "127.0.0.1"), strconv.Itoa(r.service.Port))
	c := &check{
		CheckID: "service:" + r.service.ID, Name: r.cfg.Service + " answers",
		Interval: r.cfg.Interval.String(), Timeout: r.cfg.Timeout.String(),
	}
	if r.cfg.Check == CheckTCP {
		c.TCP = at
	} else {
		scheme := r.service.Meta["scheme"]
		c.HTTP = scheme + "://" + at + "/healthz"
		c.TLSSkipVerify = scheme == "https" // the certificate is for a name; this asks for life, and tells nothing
	}
	if r.cfg.DeregisterAfter > 0 {
		c.Deregister = r.cfg.DeregisterAfter.String()
	}
	return c
}

// Task registers the service, registers it again when Consul has lost it, and
// removes it at the end.
func (r *Registration) Task() run.Task {
	return run.Task{Name: "registration in Consul", Run: r.run, Grace: StopTimeout + time.Second}
}

func (r *Registration) run(ctx context.Context, ready func()) error {
	ready() // Consul may come later than we
	for retry := retryMin; ; {
		pause := lookEvery
		if err := r.keep(ctx); err != nil {
			pause, retry = retry, min(2*retry, retryMax)
		} else {
			retry = retryMin
		}
		if run.Sleep(ctx, r.wait(pause)) != nil {
			r.leave(ctx)
			return nil
		}
	}
}

// jitter makes a time shorter by up to a quarter.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// keep looks whether Consul knows the service as it is, and registers it if not.
func (r *Registration) keep(ctx context.Context) error {
	if !r.fixed {
		r.service.Address = r.client.source(ctx)
	}
	r.service.Check = r.check()
	if r.asked {
		known, err := r.client.look(ctx, r.service.ID)
		switch {
		case err == nil && r.known && same(known, r.service):
			r.worked()
			return nil
		case err != nil && !unknown(err):
			return r.failed(ctx, "look", err)
		case r.known:
			r.log.Warn("Consul has lost or changed the service; it is registered again", "id", r.service.ID)
		}
	}
	r.known, r.asked = false, true
	r.registered.Set(0)
	if err := r.client.register(ctx, r.service); err != nil {
		return r.failed(ctx, "register", err)
	}
	r.known = true
	r.worked()
	r.log.Info("Registered in Consul", "id", r.service.ID, "address", r.service.Address, "port", r.service.Port)
	return nil
}

// same tells whether Consul knows the service as we have it.
func same(known, want service) bool {
	return known.Service == want.Name && known.Address == want.Address && known.Port == want.Port &&
		slices.Equal(known.Tags, want.Tags) && maps.Equal(known.Meta, want.Meta)
}

// failed notes an error. It is logged if it is another one than before.
func (r *Registration) failed(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return err // because we stop
	}
	r.registered.Set(0)
	r.failures.WithLabelValues(call).Inc()
	if text := call + ": " + err.Error(); text != r.last {
		r.last = text
		r.log.Warn("Consul does not do what it is asked for; it is asked again and again", "call", call, "err", err)
	}
	return err
}

// worked notes that Consul knows the service, and that the last error is over.
func (r *Registration) worked() {
	r.registered.Set(1)
	if r.last != "" {
		r.last = ""
		r.log.Info("Consul is back", "id", r.service.ID)
	}
}

// leave removes the service, if Consul may have it from us.
func (r *Registration) leave(ctx context.Context) {
	if !r.asked {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTimeout)
	defer cancel()
	if err := r.client.deregister(ctx, r.service.ID); err != nil {
		r.log.Warn("The service stays registered in Consul", "id", r.service.ID, "err", err)
		return
	}
	r.log.Info("Deregistered from Consul", "id", r.service.ID)
}
