package cadvisor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"watchpost/internal/runtimesock"
)

// docker answers by HTTP on its socket: GET /containers/ID/json
// (https://docs.docker.com/reference/api/engine/).
type docker struct{ client *jsonClient }

func newDocker(socket string) *docker { return &docker{newJSON(socket)} }

func (*docker) String() string { return "docker" }

func (*docker) owns(cgroup string) bool {
	return strings.Contains(cgroup, "/docker/") || strings.Contains(cgroup, "/docker-")
}

func (r *docker) close() { r.client.http.CloseIdleConnections() }

// dockerContainer is what is read of the answer.
type dockerContainer struct {
	Name    string // with a slash before it
	Created time.Time
	Config  struct {
		Image  string
		Labels map[string]string
	}
	State      struct{ Health *struct{ Status string } }
	HostConfig struct{ NetworkMode string }
}

func (r *docker) find(ctx context.Context, id string) (*container, error) {
	d, err := r.inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &container{
		name: strings.TrimPrefix(d.Name, "/"), image: d.Config.Image, created: d.Created,
		network: !strings.HasPrefix(d.HostConfig.NetworkMode, "container:"),
	}
	c.kubernetes(d.Config.Labels)
	if d.State.Health != nil {
		c.health = d.State.Health.Status
		c.refresh = func(ctx context.Context) {
			if d, err := r.inspect(ctx, id); err == nil && d.State.Health != nil { // else what was known
				c.health = d.State.Health.Status
			}
		}
	}
	return c, nil
}

func (r *docker) inspect(ctx context.Context, id string) (*dockerContainer, error) {
	d := new(dockerContainer)
	if err := r.client.get(ctx, "/containers/"+url.PathEscape(id)+"/json", d); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return d, nil
}

// crio answers by HTTP on its socket: GET /containers/ID
// (https://github.com/cri-o/cri-o, internal/lib/stats and server/inspect.go).
type crio struct{ client *jsonClient }

func newCRIO(socket string) *crio { return &crio{newJSON(socket)} }

func (*crio) String() string { return "crio" }

func (*crio) owns(cgroup string) bool { return strings.Contains(cgroup, "/crio-") }

func (r *crio) close() { r.client.http.CloseIdleConnections() }

// crioContainer is what is read of the answer.
type crioContainer struct {
	Name    string            `json:"name"`
	Image   string            `json:"image"`
	Created int64             `json:"created_time"` // in nanoseconds since the epoch
	Labels  map[string]string `json:"labels"`
}

func (r *crio) find(ctx context.Context, id string) (*container, error) {
	var a crioContainer
	if err := r.client.get(ctx, "/containers/"+url.PathEscape(id), &a); err != nil {
		return nil, fmt.Errorf("crio: %w", err)
	}
	c := &container{name: a.Name, image: a.Image}
	if a.Created > 0 {
		c.created = time.Unix(0, a.Created)
	}
	c.kubernetes(a.Labels)
	// Its sandboxes are called POD; their interfaces are those of the pod.
	c.network = c.container == "POD"
	return c, nil
}

// jsonClient asks a server on a unix socket for JSON.
type jsonClient struct {
	http   *http.Client
	socket string
}

// maxJSON is the most that is read of an answer about one container.
const maxJSON = 4 << 20

func newJSON(socket string) *jsonClient {
	return &jsonClient{socket: socket, http: &http.Client{
		Transport:     &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return runtimesock.Connect(ctx, socket) }, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *jsonClient) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxJSON+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s%s: %w", c.socket, path, err)
	case answer.StatusCode == http.StatusNotFound:
		return errUnknown
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s%s: HTTP status %s: %.200q", c.socket, path, answer.Status, text)
	case len(text) > maxJSON:
		return fmt.Errorf("%s%s: an answer of more than %d bytes", c.socket, path, maxJSON)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s%s: %w in %.200q", c.socket, path, err, text)
	}
	return nil
}
