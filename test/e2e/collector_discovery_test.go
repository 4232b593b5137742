//go:build e2e

package e2e

// Discovery in a Kubernetes cluster: configurations that were written for
// Prometheus, unchanged and where a pod finds its credentials, and what the collector
// makes of them. With WATCHPOST_PROMETHEUS=binary the Prometheus program runs beside
// it on the same file and has to agree on every label; -update then writes what it
// discovers to the files that are compared with otherwise.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkit"
	"watchpost/internal/testkube"
)

// discoveryData is where objects, configurations and expected targets are.
const discoveryData = "../../internal/promstack/testdata/kubernetes"

// pod runs programs as a pod of a cluster would: with the credentials of a service
// account in the usual place.
type pod struct {
	account string   // folder with the token and the certificate of the API server
	env     []string // where the API server is
}

// newPod makes a service account that may read what discovery needs.
func newPod(t *testing.T, c *testkube.Cluster) pod {
	t.Helper()
	ctx, name := t.Context(), "collector"
	_, err := c.Client().CoreV1().ServiceAccounts("default").Create(ctx, &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	read := []string{"get", "list", "watch"}
	if _, err := c.Client().RbacV1().ClusterRoles().Create(ctx, &rbac.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbac.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"nodes", "services", "endpoints", "pods", "namespaces"}, Verbs: read},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
			{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: read},
			{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().RbacV1().ClusterRoleBindings().Create(ctx, &rbac.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbac.RoleRef{Kind: "ClusterRole", Name: name},
		Subjects:   []rbac.Subject{{Kind: "ServiceAccount", Name: name, Namespace: "default"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := c.Client().CoreV1().ServiceAccounts("default").CreateToken(ctx, name, &authentication.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(c.Kubeconfig()), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	p := pod{account: t.TempDir()}
	for file, content := range map[string][]byte{"token": []byte(token.Status.Token), "ca.crt": ca, "namespace": []byte("default")} {
		if err := os.WriteFile(filepath.Join(p.account, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server, err := url.Parse(c.Server())
	if err != nil {
		t.Fatal(err)
	}
	p.env = []string{"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port()}
	if out, err := p.command("/bin/true").CombinedOutput(); err != nil {
		t.Skipf("no namespaces of users and mounts can be made here: %v %s", err, out)
	}
	return p
}

// command runs a program with /run, and so /var/run, of its own.
func (p pod) command(program string, args ...string) *exec.Cmd {
	const enter = `mount -t tmpfs none /run && mkdir -p /var/run/secrets/kubernetes.io && cp -r "$0" /var/run/secrets/kubernetes.io/serviceaccount && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", enter, p.account, program}, args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// start runs a program that listens at an address until the test ends.
func (p pod) start(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd, said := p.command(program, args...), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // its fate is of no interest
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), last(said.String(), 4000))
		}
	})
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// found is what a program answers at /api/v1/targets: as text, and the labels before
// and after relabelling of all targets that are kept.
func found(address string) (text string, labels []map[string]map[string]string, err error) {
	r, err := http.Get("http://" + address + "/api/v1/targets")
	if err != nil {
		return "", nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", nil, err
	}
	if r.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("%s: %.200s", r.Status, body)
	}
	var a struct {
		Data struct {
			ActiveTargets []struct{ DiscoveredLabels, Labels map[string]string }
		}
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", nil, err
	}
	for _, t := range a.Data.ActiveTargets {
		labels = append(labels, map[string]map[string]string{"before": t.DiscoveredLabels, "after": t.Labels})
	}
	slices.SortFunc(labels, func(a, b map[string]map[string]string) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	b, err := testkit.Targets(body)
	return string(b), labels, err
}

// sameTargets runs a configuration and compares what is discovered.
func sameTargets(t *testing.T, p pod, yml []byte, wantFile string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, yml, 0o600); err != nil {
		t.Fatal(err)
	}
	path := programPath(t, "collector")
	ours := freeAddress(t)
	p.start(t, path, "--config.file="+file, "--web.listen-address="+ours, "--storage.tsdb.path="+filepath.Join(t.TempDir(), "data"))
	if prometheus := os.Getenv("WATCHPOST_PROMETHEUS"); prometheus != "" {
		theirs := freeAddress(t)
		p.start(t, prometheus, "--config.file="+file, "--web.listen-address="+theirs, "--storage.tsdb.path="+filepath.Join(t.TempDir(), "data"))
		compareTargets(t, ours, theirs, wantFile)
	}
	want, err := os.ReadFile(wantFile)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if got, _, err = found(ours); err == nil && got == string(want) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v; other targets than Prometheus' (- there, + here):\n%s", err, testkit.Diff(string(want), got))
		}
	}
	if lines := bytes.Count(want, []byte("\n")); lines > 0 {
		t.Logf("%d targets and sums of dropped ones are those of Prometheus", lines)
	}
}

// compareTargets waits until two programs have discovered the same and nothing more
// comes for longer than the delay of Prometheus' discovery.
func compareTargets(t *testing.T, ours, theirs, wantFile string) {
	t.Helper()
	const settled = 7 * time.Second
	var before string
	same := time.Now()
	for end := time.Now().Add(2 * patience); ; time.Sleep(200 * time.Millisecond) {
		our, ourLabels, err := found(ours)
		their, theirLabels, otherErr := found(theirs)
		if err != nil || otherErr != nil || our != their || our != before || !reflect.DeepEqual(ourLabels, theirLabels) {
			before, same = our, time.Now()
		}
		if time.Since(same) > settled {
			testkit.Golden(t, wantFile, []byte(their))
			t.Logf("%d targets have the same labels before and after relabelling as Prometheus'", len(theirLabels))
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v, %v; other targets than Prometheus' (- there, + here), or other labels before relabelling:\n%s", err, otherErr, testkit.Diff(their, our))
		}
	}
}

func TestCollectorDiscovery(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	c.Load(t, os.DirFS(discoveryData+"/objects"))
	p := newPod(t, c)
	configs, err := filepath.Glob(discoveryData + "/configs/*.yml")
	if err != nil || len(configs) == 0 {
		t.Fatalf("no configurations: %v", err)
	}
	for _, file := range configs {
		name := strings.TrimSuffix(filepath.Base(file), ".yml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yml, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sameTargets(t, p, yml, discoveryData+"/want/"+name+".txt")
		})
	}
	t.Run("seeds", func(t *testing.T) {
		t.Parallel()
		seeds, err := filepath.Glob("../../../shared/seeds/[0-9]*.txt")
		if err != nil || len(seeds) == 0 {
			t.Skip("../shared/seeds is not here")
		}
		total := 0
		for _, seed := range seeds {
			text, err := os.ReadFile(seed)
			if err != nil {
				t.Fatal(err)
			}
			number, _, _ := strings.Cut(filepath.Base(seed), "_")
			for i, yml := range configurations(string(text)) {
				total++
				name := fmt.Sprintf("seed-%s-%d", number, i+1)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					sameTargets(t, p, []byte(yml), discoveryData+"/want/"+name+".txt")
				})
			}
		}
		if total < 8 {
			t.Errorf("only %d configurations found in %d documents", total, len(seeds))
		}
	})
}

// What a document's scrape configurations look like.
var (
	blockLine = regexp.MustCompile(`^( *)[\w.-]+: \|$`)
	jobLine   = regexp.MustCompile(`^ *- +job_name:`)
	rulesLine = regexp.MustCompile(`^ *(metric_)?relabel_configs:`)
	quotes    = strings.NewReplacer("“", `"`, "”", `"`, "‘", "'", "’", "'")
)

// configurations are the prometheus.yml, the lists of jobs and the lists of rules in
// a document: within the data of config maps, and within fences. Only typographic
// quotes are mended; around a list stands what a whole file has around it.
func configurations(document string) []string {
	lines := strings.Split(quotes.Replace(document), "\n")
	var all []string
	for i := 0; i < len(lines); i++ {
		var until func(line string) bool
		head, shift := "", ""
		switch m := blockLine.FindStringSubmatch(lines[i]); {
		case m != nil:
			indent := m[1]
			until = func(line string) bool {
				return strings.TrimSpace(line) != "" && !strings.HasPrefix(line, indent+" ")
			}
			i++
		case jobLine.MatchString(lines[i]):
			head = "scrape_configs:\n"
		case rulesLine.MatchString(lines[i]):
			shift = strings.Repeat(" ", max(0, 2-len(lines[i])+len(strings.TrimLeft(lines[i], " "))))
			head = "scrape_configs:\n- job_name: rules\n  kubernetes_sd_configs: [{role: endpoints}]\n"
		default:
			continue
		}
		if until == nil {
			until = func(line string) bool { return strings.HasPrefix(line, "```") }
		}
		var block []string
		for ; i < len(lines) && !until(lines[i]); i++ {
			block = append(block, shift+lines[i])
		}
		if text := strings.Join(block, "\n"); strings.Contains(text, "job_name:") || strings.Contains(text, "relabel_configs:") {
			all = append(all, head+text+"\n")
		}
	}
	return all
}

func TestConfigurationsInDocuments(t *testing.T) {
	beside(t)
	got := configurations("text\n```\n - job_name: “a”\n```\ndata:\n  x.yml: |\n    global: {}\n    scrape_configs:\n    - job_name: b\n\nother text\n```yaml\nrelabel_configs: []\n```\n")
	want := []string{
		"scrape_configs:\n - job_name: \"a\"\n",
		"    global: {}\n    scrape_configs:\n    - job_name: b\n\n",
		"scrape_configs:\n- job_name: rules\n  kubernetes_sd_configs: [{role: endpoints}]\n  relabel_configs: []\n",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Without a configuration file the collector finds, in a cluster, the suite's agents,
// the parts of Kubernetes and what is annotated; what it runs is a prometheus.yml that
// promtool accepts and from which Prometheus discovers the same.
func TestCollectorClusterDefaults(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	c.Load(t, os.DirFS(discoveryData+"/objects"))
	c.Load(t, os.DirFS(discoveryData+"/suite"))
	p := newPod(t, c)
	path := programPath(t, "collector")
	dir := t.TempDir()
	for _, f := range []string{"ca", "cert", "key"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const listen = "127.0.0.1:9090" // is in the expected targets, and only printed
	text, err := p.command(path, "config", "--web.listen-address="+listen, "--cluster=test", "--cluster.scheduler=http:10251",
		"--cluster.etcd=http:2381", "--cluster.etcd=https:2382",
		"--cluster.etcd-ca-file="+dir+"/ca", "--cluster.etcd-cert-file="+dir+"/cert", "--cluster.etcd-key-file="+dir+"/key",
		"--cluster.prober=prober.example.com:9115").Output()
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(hostname(t)), []byte("collector-0"))
	file := filepath.Join(dir, "built-in.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := p.command(path, "check", "config", file).CombinedOutput(); err != nil {
		t.Errorf("check config: %v\n%s", err, out)
	}
	if prometheus := os.Getenv("WATCHPOST_PROMETHEUS"); prometheus != "" {
		promtool := filepath.Join(filepath.Dir(prometheus), "promtool")
		if out, err := p.command(promtool, "check", "config", file).CombinedOutput(); err != nil {
			t.Errorf("promtool check config: %v\n%s", err, out)
		}
	}
	// etcd's certificates are empty files, and a job that needs them would not start.
	sameTargets(t, p, etcdFiles.ReplaceAll(text, nil), discoveryData+"/want/built-in.txt")

	// And it does run this, without being told.
	address := freeAddress(t)
	p.start(t, path, "--web.listen-address="+address, "--storage.tsdb.path="+filepath.Join(dir, "data"))
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		got, _, err := found(address)
		if err == nil && strings.Contains(got, `job="node", node="worker-1"`) && strings.Contains(got, `instance="`+hostname(t)+`"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v; no node-agent, or not itself:\n%s", err, got)
		}
	}
}

var etcdFiles = regexp.MustCompile(`(?m)^    tls_config: \{ca_file: ".*\n`)

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
