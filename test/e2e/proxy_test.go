//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"watchpost/internal/testkubelet"
)

var proxyServes = regexp.MustCompile(`"Serving metrics".*?url=(\S+)/metrics`)

// startProxy starts it on a free port; stop ends it as Kubernetes does.
func startProxy(t *testing.T, args ...string) (cmd *exec.Cmd, url string, stop func() error) {
	t.Helper()
	return startProxyIn(t, nil, args...)
}

// startProxyIn is startProxy with variables beside those of the test.
func startProxyIn(t *testing.T, variables []string, args ...string) (cmd *exec.Cmd, url string, stop func() error) {
	t.Helper()
	path := programPath(t, "cadvisor-proxy")
	said := new(lockedBuffer)
	cmd = exec.Command(path, append([]string{"--web.listen-address=127.0.0.1:0"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = said, said, append(os.Environ(), variables...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill() // fails where the test has ended it
		if t.Failed() {
			t.Logf("cadvisor-proxy said:\n%s", said.String())
		}
	})
	eventually(t, "cadvisor-proxy serves", func() error {
		if m := proxyServes.FindStringSubmatch(said.String()); m != nil {
			url = m[1]
			return nil
		}
		return fmt.Errorf("it says %q", said.String())
	})
	return cmd, url, func() error {
		cmd.Process.Signal(syscall.SIGTERM) // its end is what is asked for
		return <-done
	}
}

// The real program at a kubelet of 110 pods: what it passes on, what it costs, and
// how it ends.
func TestCadvisorProxy(t *testing.T) {
	beside(t)
	node := testkubelet.NewNode(110)
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", node.Text())
	k.Text("/pods", node.PodList())
	cmd, url, stop := startProxy(t, "--kubelet.url="+k.URL, "--kubelet.ca-file="+k.CAFile, "--kubelet.token-file="+k.TokenFile,
		"--node=n1", "--pods.from=kubelet", "--pod-labels=app", "--profile=none")
	eventually(t, "ready", func() error {
		if got := get(t, http.DefaultClient, url+"/readyz"); got.status != 200 {
			return fmt.Errorf("%s", got.body)
		}
		return nil
	})
	pool := x509.NewCertPool()
	pool.AddCert(k.Certificate())
	token, err := os.ReadFile(k.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	const scrapes = 25
	var ours, kubelets []time.Duration
	for range scrapes {
		began := time.Now()
		n := read(t, http.DefaultClient, url+"/metrics/cadvisor", "")
		ours = append(ours, time.Since(began))
		began = time.Now()
		if plain := read(t, direct, k.URL+"/metrics/cadvisor", "Bearer "+strings.TrimSpace(string(token))); plain >= n {
			t.Fatalf("%d bytes with labels, %d without", n, plain)
		}
		kubelets = append(kubelets, time.Since(began))
	}
	slices.Sort(ours)
	slices.Sort(kubelets)
	text := get(t, http.DefaultClient, url+"/metrics").body
	if got, want := strings.Count("\n"+text, "\ncontainer_"), strings.Count("\n"+node.Text(), "\ncontainer_"); got != want {
		t.Errorf("%d series, want %d", got, want)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, `,pod="shop`) && !(strings.Contains(line, `pod_ip="10.1.`) && strings.Contains(line, `node="n1"`)) {
			t.Fatal(line)
		}
	}
	rss := memoryKB(t, cmd.Process.Pid, "VmRSS")
	t.Logf("%d bytes of text: median of %d scrapes %s, the kubelet's alone %s; RSS %d kB", len(node.Text()), scrapes, ours[scrapes/2], kubelets[scrapes/2], rss)
	if rss > 25<<10 {
		t.Errorf("RSS %d kB", rss)
	}
	if err := stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// read is how many bytes an answer has.
func read(t *testing.T, c *http.Client, url, authorization string) int64 {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: status %d, %v", url, answer.StatusCode, err)
	}
	return n
}

// memoryKB is a size of /proc/PID/status: VmRSS is what is resident, VmHWM the most
// that was.
func memoryKB(t *testing.T, pid int, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no %s in %q", field, status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Wrong flags and rules end it with 2 and one line; check tells what fails.
func TestCadvisorProxyMistakes(t *testing.T) {
	beside(t)
	path := programPath(t, "cadvisor-proxy")
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx{a=\"1\"} 1\nx{a=\"2\"} 1\n")
	at := []string{"--kubelet.url=" + k.URL, "--kubelet.ca-file=" + k.CAFile, "--kubelet.token-file=" + k.TokenFile}
	rules := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(rules, []byte("label-rules:\n- drop: [a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--profile=fat"}, 2, "where the kubelet is is not known"},
		{append(at[:3:3], "--profile=fat"), 2, `no profile is called "fat"`},
		{append(at[:3:3], "--rules.file="+rules), 2, "rules.yml:2: it would make one series of two"},
		{append([]string{"check"}, at...), 0, "2 of 2 series are passed on"},
		{append([]string{"check"}, at[:2]...), 1, "401"},
		{[]string{"check", at[0]}, 1, "--kubelet.insecure-skip-verify"},
	} {
		out, err := exec.Command(path, c.args...).CombinedOutput()
		code := 0
		if exit, ok := err.(*exec.ExitError); ok {
			code = exit.ExitCode()
		}
		if code != c.code || !strings.Contains(string(out), c.says) || c.code == 2 && strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q: exit %d: %s", c.args, code, out)
		}
	}
}

// promtool reads what the program says, of the captured text and of that of 10 pods or
// WATCHPOST_PROMTOOL=110 (it compares each series with each), and finds nothing in it
// that it does not find in what the kubelet says.
func TestCadvisorProxyPromtool(t *testing.T) {
	beside(t)
	pods := 10
	if text := os.Getenv("WATCHPOST_PROMTOOL"); text != "" {
		var err error
		if pods, err = strconv.Atoi(text); err != nil {
			t.Fatalf("WATCHPOST_PROMTOOL: %v", err)
		}
	}
	node := testkubelet.NewNode(pods)
	texts := map[string][2]string{fmt.Sprint(pods, " pods"): {node.Text(), node.PodList()}}
	const folder = "../../../shared/samples/kubelet/"
	if cadvisor, err := os.ReadFile(folder + "cadvisor.txt"); err == nil {
		pods, err := os.ReadFile(folder + "pods.json")
		if err != nil {
			t.Fatal(err)
		}
		texts["captured"] = [2]string{string(cadvisor), string(pods)}
	} else {
		t.Logf("without the captured text: %scadvisor.txt is not here", folder)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			k := testkubelet.Start(t)
			k.Text("/metrics/cadvisor", text[0])
			k.Text("/pods", text[1])
			_, url, _ := startProxy(t, kubeletFlags(k, "--pods.from=kubelet", "--profile=none")...)
			eventually(t, "ready", func() error {
				if got := get(t, http.DefaultClient, url+"/readyz"); got.status != 200 {
					return fmt.Errorf("%s", got.body)
				}
				return nil
			})
			got := get(t, http.DefaultClient, url+"/metrics")
			if up(t, got, "cadvisor") != 1 {
				t.Fatalf("%.2000s", got.body)
			}
			known := promtool(t, text[0])
			for problem := range promtool(t, got.body) {
				if !known[problem] {
					t.Errorf("promtool: %s", problem)
				}
			}
		})
	}
}

// promtool is what "promtool check metrics" finds in a text. One that it cannot read
// ends the test.
func promtool(t *testing.T, text string) map[string]bool {
	t.Helper()
	check := exec.Command("go", "tool", "-modfile=tools/go.mod", "promtool", "check", "metrics")
	check.Env = append(os.Environ(), "CGO_ENABLED=", "GOFLAGS=") // compiled as make check has it
	check.Dir, check.Stdin = "../..", strings.NewReader(text)
	out, err := check.CombinedOutput()
	const findings = 3 // promtool's exit status for a text that it can read, but does not like
	if exit := new(exec.ExitError); err != nil && !(errors.As(err, &exit) && bytes.Contains(out, []byte("exit status "+strconv.Itoa(findings))) || exit.ExitCode() == findings) {
		t.Fatalf("promtool: %v: %.2000s", err, out)
	}
	found := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		found[line] = true
	}
	return found
}
