package testkube

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var cluster Shared

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// newClient is a client by a kubeconfig.
func newClient(t *testing.T, kubeconfig string) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// configMap makes or changes a config map of the default namespace, and returns it.
func configMap(t *testing.T, c *Cluster, name, value string) *corev1.ConfigMap {
	t.Helper()
	maps := c.Client().CoreV1().ConfigMaps("default")
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": value}}
	stored, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		stored, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestKillRestart(t *testing.T) {
	c := Start(t, Options{})
	before := configMap(t, c, "kept", "over a crash")
	configMap(t, c, "other", "written after it")
	address, pid := c.Server(), c.PID()
	c.Kill()
	if _, err := c.Client().CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); err == nil {
		t.Fatal("a killed API server answered")
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if c.Server() != address || c.PID() == pid {
		t.Errorf("restarted at %s as process %d; want %s and another process", c.Server(), c.PID(), address)
	}
	after, err := c.Client().CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if after.UID != before.UID || after.Data["value"] != "over a crash" {
		t.Errorf("after the restart the object is %+v", after)
	}

	// The new process does not hold the history: a watch from before the other object is
	// told so.
	expectExpired(t, c, before.ResourceVersion)
}

// expectExpired watches config maps from a revision and expects 410 Gone.
func expectExpired(t *testing.T, c *Cluster, revision string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := c.Client().CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{ResourceVersion: revision})
	if err == nil {
		defer w.Stop()
		event, ok := <-w.ResultChan()
		if !ok || event.Type != watch.Error {
			t.Fatalf("watch from revision %s: got %+v, want an error", revision, event)
		}
		err = apierrors.FromObject(event.Object)
	}
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Errorf("watch from revision %s: %v, want 410 Gone", revision, err)
	}
}

func TestCompact(t *testing.T) {
	c := Start(t, Options{Args: []string{"--watch-cache=false"}})
	first := configMap(t, c, "compacted", "1")
	configMap(t, c, "compacted", "2")
	configMap(t, c, "other", "1")

	// While the history is there, a watch goes on from the first revision, and a list
	// from its first page.
	w, err := c.Client().CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	if event := <-w.ResultChan(); event.Type != watch.Modified {
		t.Errorf("before the compaction: %+v, want the change", event)
	}
	w.Stop()
	page, err := c.Client().CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{Limit: 1})
	if err != nil || page.Continue == "" {
		t.Fatalf("first page: %v, continue %q", err, page.Continue)
	}

	configMap(t, c, "compacted", "3") // the page's revision is not the newest any more
	if err := c.Compact(); err != nil {
		t.Fatal(err)
	}
	expectExpired(t, c, first.ResourceVersion)
	_, err = c.Client().CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{Limit: 1, Continue: page.Continue})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("second page after the compaction: %v, want 410 Gone", err)
	}
	if err := c.Compact(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestUser(t *testing.T) {
	c := cluster.Get(t)
	kubeconfig, err := c.User("conductor", "railway:staff")
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, kubeconfig)
	if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("without a role: %v, want forbidden", err)
	}
	rbac := c.Client().RbacV1()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pods"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}}
	if _, err := rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "pods"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "pods"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "railway:staff"}}}
	if _, err := rbac.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	may := func() bool {
		_, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
		return err == nil
	}
	eventually(t, "the group's role counts", may)
	if err := rbac.ClusterRoles().Delete(t.Context(), "pods", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the role is taken away", func() bool { return !may() })
}

// eventually waits until done says so; the API server's own watches take a moment.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestProxy(t *testing.T) {
	c := cluster.Get(t)
	p, err := c.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	kubeconfig, err := c.Through(p)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, kubeconfig)
	get := func(timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
		return err
	}
	if err := get(time.Minute); err != nil {
		t.Fatal(err)
	}
	w, err := client.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	p.Cut()
	if err := get(200 * time.Millisecond); err == nil {
		t.Error("an answer came over a line that was cut")
	}
	p.Mend()
	if err := get(time.Minute); err != nil {
		t.Errorf("after mending: %v", err)
	}
	configMap(t, c, "seen-through-proxy", "1")
	for event := range w.ResultChan() { // the cut did not break it
		if m, ok := event.Object.(*corev1.ConfigMap); ok && m.Name == "seen-through-proxy" {
			break
		}
	}
	p.Break()
	for range w.ResultChan() { // until it is closed
	}
	if err := get(time.Minute); err != nil {
		t.Errorf("after breaking: %v", err)
	}
}

// TestVerified holds that the kubeconfig's authority is what makes the server trusted.
func TestVerified(t *testing.T) {
	c := cluster.Get(t)
	if c.Config().Insecure {
		t.Error("the kubeconfig does not verify the server")
	}
	if _, err := http.Get(c.Server() + "/readyz"); err == nil {
		t.Error("a client without the authority trusts the server")
	}
}

// TestEndsWithItsParent holds that a control plane does not outlive a test that was
// killed: it ends when its standard input does.
func TestEndsWithItsParent(t *testing.T) {
	c := Start(t, Options{})
	p := c.process
	p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Fatal("still running a minute after the end of its standard input")
	}
	if p.fate != nil {
		t.Errorf("it ended with %v, want exit code 0", p.fate)
	}
}

func TestStartFails(t *testing.T) {
	skipShort(t)
	dir := t.TempDir()
	_, err := Launch(Options{Dir: dir, Args: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v, want an error that quotes the flag", err)
	}
}

func TestLoad(t *testing.T) {
	c := cluster.Get(t)
	c.Load(t, fstest.MapFS{
		"00-first.yaml": {Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: depot}\n---\n# nothing\n---\n" +
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: yard}\n")},
		"pods.yaml": {Data: []byte(`
apiVersion: v1
kind: Pod
metadata: {name: shunter, namespace: depot, finalizers: [example.com/keep]}
spec: {containers: [{name: main, image: shunter:1}]}
status:
  phase: Running
  podIP: 10.1.2.3
  podIPs: [{ip: 10.1.2.3}]
`)},
		"requests.yaml": {Data: []byte("apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\n" +
			"metadata: {name: signalman}\nspec:\n  signerName: example.com/signals\n  usages: [client auth]\n  request: " + request(t) + "\n" +
			"status: {conditions: [{type: Approved, status: \"True\", reason: Known}], certificate: " + certificate(t, c) + "}\n")},
		"delete.txt": {Data: []byte("# kept by its finalizer\n\npod shunter depot\nnamespace yard\n")},
		"notes.md":   {Data: []byte("not an object")},
	})
	pod, err := c.Client().CoreV1().Pods("depot").Get(t.Context(), "shunter", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP != "10.1.2.3" {
		t.Errorf("status is %+v", pod.Status)
	}
	if pod.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("qosClass is %q: what the API server had put there is lost", pod.Status.QOSClass)
	}
	if pod.DeletionTimestamp == nil {
		t.Error("the pod was not deleted")
	}
	csr, err := c.Client().CertificatesV1().CertificateSigningRequests().Get(t.Context(), "signalman", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(csr.Status.Conditions) != 1 || csr.Status.Conditions[0].Type != certificatesv1.CertificateApproved || len(csr.Status.Certificate) == 0 {
		t.Errorf("the request's status is %+v, want it approved and with a certificate", csr.Status)
	}
}

func TestLoadErrors(t *testing.T) {
	c := cluster.Get(t)
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: siding}\n"
	for _, test := range []struct{ name, file, text, deletions, want string }{
		{"none", "a.txt", namespace, "", "no *.yaml file"},
		{"syntax", "a.yaml", "a: [", "", "a.yaml: document 1"},
		{"no kind", "a.yaml", "a: 1", "", "no kind"},
		{"unknown kind", "a.yaml", "apiVersion: v9\nkind: Tram\nmetadata: {name: a}\n", "", "a.yaml: Tram a: no matches"},
		{"unknown field", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatum: {}\n", "", "datum"},
		{"refused", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_B}\n", "", "ConfigMap A_B"},
		{"no status", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\nstatus: {a: 1}\n", "", "status"},
		{"deletion", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n", "configmap", `delete.txt: "configmap"`},
		{"not there", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\n", "configmap e default", `"configmap e default": `},
		{"gone", "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\n", "configmap f", "gone at once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := fstest.MapFS{test.file: {Data: []byte(test.text)}}
			if test.deletions != "" {
				folder["delete.txt"] = &fstest.MapFile{Data: []byte(test.deletions)}
			}
			err := c.LoadFS(t.Context(), folder)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// A program is built again when what it is made of differs, whenever that was written.
func TestSources(t *testing.T) {
	module := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := func() string {
		t.Helper()
		got, err := sources(module, module)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		write(name, "as it was")
	}
	before := sum()
	write("notes.txt", "another file")
	write("main.go", "as it was")
	if sum() != before {
		t.Error("other sources, though each has what it had")
	}
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		write(name, "as it is")
		if sum() == before {
			t.Errorf("the same sources, though %s differs", name)
		}
		write(name, "as it was")
	}
	write("more.go", "")
	if sum() == before {
		t.Error("the same sources, though there is one more")
	}
	if _, err := sources(filepath.Join(module, "missing")); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

// request is a certificate request in base64, as the API holds it.
func request(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "signalman"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// certificate is one in base64, as the API holds it.
func certificate(t *testing.T, c *Cluster) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}
