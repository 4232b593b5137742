package consul

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Bounds of one call.
const (
	callTimeout    = 5 * time.Second
	maxAnswer      = 256 << 10 // bytes, with its headers
	maxTokenFile   = 4 << 10   // bytes
	maxErrorQuoted = 200       // bytes of an answer that says no
)

// client calls the HTTP API of a Consul agent:
// https://developer.hashicorp.com/consul/api-docs/agent/service
type client struct {
	base      *url.URL
	socket    string         // path of the agent's socket; "" is TCP to base
	roots     *x509.CertPool // who may sign for https; nil is the system's
	tokenFile string
}

// service is Consul's form of a service of its agent; the body of a registration,
// and with fewer fields what it tells of one.
type service struct {
	ID      string
	Name    string `json:",omitempty"`
	Service string `json:",omitempty"` // the name, in answers
	Tags    []string
	Address string
	Port    int
	Meta    map[string]string
	Check   *check `json:",omitempty"`
}

// check is Consul's form of a health check. It is one by HTTP or by TCP.
type check struct {
	CheckID       string
	Name          string
	HTTP          string `json:",omitempty"`
	TCP           string `json:",omitempty"`
	Interval      string
	Timeout       string
	TLSSkipVerify bool   `json:",omitempty"`
	Deregister    string `json:"DeregisterCriticalServiceAfter,omitempty"`
}

// newClient makes a client for an address: http://, https:// or unix:// with a
// path, or host:port.
func newClient(address, tokenFile string) (*client, error) {
	if !strings.Contains(address, ":/") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of Consul: %w", err)
	}
	c := &client{base: u, tokenFile: tokenFile}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.socket, c.base = u.Path, &url.URL{Scheme: "http", Host: "localhost"}
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
	default:
		return nil, fmt.Errorf("address of Consul %q: want http://host:port, https://host:port or unix:///path", address)
	}
	_, err = c.token()
	return c, err
}

// token reads the token anew each time, for tokens change.
func (c *client) token() (string, error) {
	if c.tokenFile == "" {
		return "", nil
	}
	f, err := os.Open(c.tokenFile)
	if err != nil {
		return "", fmt.Errorf("token of Consul: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	if err != nil {
		return "", fmt.Errorf("token of Consul: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("token of Consul: %s does not hold one line with a token", c.tokenFile)
	}
	return token, nil
}

// register makes the agent know a service, or know it anew.
func (c *client) register(ctx context.Context, s service) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPut, "v1/agent/service/register?replace-existing-checks=true", body)
	return err
}

// refusal is an answer that says no.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("answer %d: %s", e.status, e.text) }

// unknown tells whether the agent says that it does not know a service.
func unknown(err error) bool {
	no := new(refusal)
	return errors.As(err, &no) && no.status == http.StatusNotFound
}

// look asks what the agent knows of a service.
func (c *client) look(ctx context.Context, id string) (s service, err error) {
	answer, err := c.call(ctx, http.MethodGet, "v1/agent/service/"+url.PathEscape(id), nil)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(answer, &s); err != nil {
		return s, fmt.Errorf("answer of Consul: %w", err)
	}
	return s, nil
}

// deregister makes the agent forget a service. One that it does not know is no error.
func (c *client) deregister(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodPut, "v1/agent/service/deregister/"+url.PathEscape(id), nil)
	if unknown(err) {
		return nil
	}
	return err
}

// call makes one call, and gives the answer to it.
func (c *client) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	at, err := c.base.Parse(strings.TrimSuffix(c.base.Path, "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("X-Consul-Token", token)
	}
	if u := c.base.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	res, answer, err := c.send(ctx, req)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, errors.New("no answer in time")
	case err != nil:
		return nil, cause(err)
	case res.StatusCode != http.StatusOK:
		return nil, &refusal{res.StatusCode, quoted(answer)}
	}
	return answer, nil
}

// send makes one connection for one request: with one call in half a minute, that
// is all that is needed of an HTTP client, and it leaves the standard library's,
// with its redirects, proxies and HTTP/2, out of the program.
func (c *client) send(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) // ends what is under way
	defer stop()
	req.Close = true
	if err := req.Write(conn); err != nil {
		return nil, nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("answer of Consul: %w", err)
	}
	return res, answer, nil
}

// dial connects to the agent.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	d := new(net.Dialer)
	if c.socket != "" {
		return d.DialContext(ctx, "unix", c.socket)
	}
	port := cmp.Or(c.base.Port(), map[string]string{"http": "80", "https": "443"}[c.base.Scheme])
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	if err != nil || c.base.Scheme == "http" {
		return conn, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: c.base.Hostname(), RootCAs: c.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// cause is what is wrong with a connection, without what differs each time.
func cause(err error) error {
	if op := new(net.OpError); errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s %s: %w", op.Op, op.Addr, op.Err)
	}
	return err
}

// source is the address of this host from which it reaches the agent, "" where
// that is on this host. Nothing is sent.
func (c *client) source(ctx context.Context) string {
	if c.base.Hostname() == "localhost" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(c.base.Hostname(), "9"))
	if err != nil {
		return "" // calls fail as well, and say why
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || local.IP.IsLoopback() || local.IP.Equal(conn.RemoteAddr().(*net.UDPAddr).IP) {
		return ""
	}
	return local.IP.String()
}

// quoted is the beginning of an answer, for a message.
func quoted(answer []byte) string {
	text := strings.Join(strings.Fields(string(answer)), " ")
	if len(text) > maxErrorQuoted {
		text = text[:maxErrorQuoted] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}
