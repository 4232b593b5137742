//go:build e2e

package e2e

// node-agent and Consul: a real one where the machine has it (a binary consul on
// the PATH), and none at all.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually asks until there is no error.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not %s within %s: %v", what, patience, err)
		}
	}
}

const consulToken = "5f0a6ab5-2f5e-4f0c-9d0b-f5d0a6a3c111"

// consul is a Consul agent that keeps everything in memory and refuses who has no token.
type consul struct {
	t    *testing.T
	http string // host:port
	args []string
	cmd  *exec.Cmd
}

func startConsul(t *testing.T) *consul {
	t.Helper()
	path, err := exec.LookPath("consul")
	if err != nil {
		t.Skip("no consul on the PATH")
	}
	c := &consul{t: t, http: freeAddress(t)}
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	c.args = []string{path, "agent", "-dev", "-bind=127.0.0.1", "-node=test", "-http-port=" + port(c.http), "-grpc-port=-1", "-dns-port=-1",
		"-server-port=" + port(freeAddress(t)), "-serf-lan-port=" + port(freeAddress(t)), "-serf-wan-port=-1",
		"-hcl", `disable_update_check = true, acl { enabled = true, default_policy = "deny", tokens { initial_management = "` + consulToken + `", agent = "` + consulToken + `" } }`}
	c.run()
	return c
}

// run starts it, also once more after it has ended.
func (c *consul) run() {
	c.t.Helper()
	cmd, said := exec.Command(c.args[0], c.args[1:]...), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.cmd = cmd
	c.t.Cleanup(func() {
		cmd.Process.Kill() // fails where the test has ended it
		cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("consul said:\n%s", said)
		}
	})
	var leader string
	eventually(c.t, "a leader", func() error {
		if err := c.get("/v1/status/leader", &leader); err != nil {
			return err
		}
		if leader == "" {
			return errors.New("none yet")
		}
		return nil
	})
}

// secret is that of the token that node-agent gets: it may do what docs/consul.md
// says and nothing else.
const secret = "0d3b6b3a-3c5f-4f5e-8a61-6a6a0f1c2b11"

// allow makes that token. A Consul that has lost everything has lost it as well.
func (c *consul) allow() {
	c.t.Helper()
	var answer any
	if err := c.call(http.MethodPut, "/v1/acl/policy", `{"Name": "agent", "Rules": "service \"node-agent\" { policy = \"write\" }"}`, &answer); err != nil {
		c.t.Fatal(err)
	}
	if err := c.call(http.MethodPut, "/v1/acl/token", `{"SecretID": "`+secret+`", "Policies": [{"Name": "agent"}]}`, &answer); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends it, with all it knows.
func (c *consul) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

func (c *consul) get(path string, into any) error {
	return c.call(http.MethodGet, path, "", into)
}

func (c *consul) call(method, path, body string, into any) error {
	r, err := http.NewRequest(method, "http://"+c.http+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Consul-Token", consulToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// entry is what Consul tells of a service and its checks.
type entry struct {
	Service struct {
		ID      string
		Address string
		Port    int
		Tags    []string
		Meta    map[string]string
	}
	Checks []struct{ CheckID, Status, Output string }
}

// service waits for the one entry that has a status.
func (c *consul) service(status string) (found entry) {
	c.t.Helper()
	eventually(c.t, status, func() error {
		var entries []entry
		if err := c.get("/v1/health/service/node-agent", &entries); err != nil {
			return err
		}
		if len(entries) != 1 {
			return fmt.Errorf("%d services", len(entries))
		}
		found = entries[0]
		for _, check := range found.Checks {
			if check.CheckID == "service:"+found.Service.ID && check.Status == status {
				return nil
			}
		}
		return fmt.Errorf("checks %v", found.Checks)
	})
	return found
}

// metric is what the agent says of one series.
func (a *nodeAgent) metric(series string) string {
	a.t.Helper()
	for line := range strings.Lines(a.scrape("").body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "absent"
}

// TestConsul: node-agent registers, Consul checks it, the collector finds it there,
// Consul forgets and is told again, and at the end nothing is left.
func TestConsul(t *testing.T) {
	beside(t)
	c := startConsul(t)
	c.allow()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startNodeAgent(t, "--consul.register=http://"+c.http, "--consul.token-file="+token, "--consul.node=host1", "--consul.tag=linux", "--consul.tag=rack 7",
		"--consul.meta=zone=z1", "--consul.check-interval=1s", "--consul.check-timeout=1s", "--consul.deregister-critical-after=1h")
	host, port, err := net.SplitHostPort(strings.TrimPrefix(a.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.service("passing").Service
	id := "node-agent-host1-" + port
	if got.ID != id || got.Address != host || fmt.Sprint(got.Port) != port || !reflect.DeepEqual(got.Tags, []string{"linux", "rack 7"}) ||
		!reflect.DeepEqual(got.Meta, map[string]string{"node": "host1", "scheme": "http", "metrics_path": "/metrics", "zone": "z1"}) {
		t.Errorf("registered: %+v", got)
	}
	if v := a.metric("watchpost_consul_registered"); v != "1" {
		t.Errorf("watchpost_consul_registered is %s", v)
	}

	t.Run("discovered", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "prometheus.yml")
		if err := os.WriteFile(file, []byte(`global: {scrape_interval: 1s}
scrape_configs:
- job_name: node
  consul_sd_configs: [{server: "`+c.http+`", services: [node-agent], authorization: {type: Bearer, credentials: `+consulToken+`}}]
  relabel_configs:
  - {source_labels: [__meta_consul_service_metadata_node], target_label: node}
  - {source_labels: [__meta_consul_service_metadata_metrics_path], target_label: __metrics_path__}
`), 0o600); err != nil {
			t.Fatal(err)
		}
		p := newCollector(t, "--config.file="+file)
		p.start()
		if v := p.number(`up{job="node", node="host1", instance="` + host + ":" + port + `"}`); v != 1 {
			t.Errorf("up is %v", v)
		}
	})

	t.Run("checked", func(t *testing.T) {
		if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		c.service("critical")
		if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		c.service("passing")
	})

	t.Run("forgotten", func(t *testing.T) {
		c.kill()
		c.run()
		c.allow()
		if got := c.service("passing").Service; got.ID != id {
			t.Errorf("registered: %+v", got)
		}
	})

	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	var left map[string]any
	if err := c.get("/v1/agent/services", &left); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestConsulAbsent: node-agent starts, serves and ends without the Consul that it
// is to register with, and says so.
func TestConsulAbsent(t *testing.T) {
	beside(t)
	nobody := freeAddress(t)
	a := startNodeAgent(t, "--consul.register="+nobody, "--external-label=cluster=c")
	eventually(t, "an error counted", func() error {
		if v := a.metric(`watchpost_consul_errors_total{call="register",cluster="c"}`); v == "0" || v == "absent" {
			return errors.New(v)
		}
		return nil
	})
	if v := a.metric(`watchpost_consul_registered{cluster="c"}`); v != "0" {
		t.Errorf("watchpost_consul_registered is %s", v)
	}
	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	if said := a.said.String(); !strings.Contains(said, "dial "+nobody+": connect: connection refused") {
		t.Error("the log does not say why")
	}
}
