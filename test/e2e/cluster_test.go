//go:build e2e

package e2e

// The suite as deploy/ installs it, on a real Kubernetes of one node, with applications to watch.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/internal/testcluster"
	"watchpost/internal/testkube"
)

// clusterInterval is how often the suite in the cluster scrapes and evaluates: a third of the default, so that the test
// is that much shorter.
const clusterInterval = 5 * time.Second

// clusterPatience is patience where many programs have to do their part.
const clusterPatience = 2 * patience

// forScale is what the durations of the alerting rules are divided by in the cluster: 15 minutes are 15 seconds.
const forScale = 60

// suite is the suite in a cluster.
type suite struct {
	*testcluster.Cluster
	t         *testing.T
	collector *collector // the one in the cluster, to ask it
	manifests []testkube.Object
	audit     string // file that the API server writes
}

// in is the suite for a part of the test.
func (s *suite) in(t *testing.T) *suite {
	other, asked := *s, *s.collector
	other.t, asked.t = t, t
	other.collector = &asked
	return &other
}

// eventually asks until there is no error.
func (s *suite) eventually(what string, ask func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), clusterPatience)
	defer cancel()
	if err := s.Wait(ctx, what, ask); err != nil {
		s.t.Fatal(err)
	}
}

// suiteTag is that of the suite's images: makeImages gives it to them.
const suiteTag = "e2e"

// clusterPrograms are Debian's programs that run in the cluster, by the names of their images.
var clusterPrograms = map[string]string{"redis": "/usr/bin/redis-server", "redis-exporter": "/usr/bin/prometheus-redis-exporter"}

// clusterImages makes the images that the cluster runs: the suite's programs, and applications. Its archives are in dir
// and in imagesDir.
func clusterImages(dir string) (archives []string, err error) {
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "./sample")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%q: %w\n%s", build.Args, err, out)
	}
	samples := []testcluster.Image{{Name: "registry.example/sample:1", Files: map[string]string{"/sample": filepath.Join(dir, "sample")}, Entrypoint: []string{"/sample"}}}
	for name, program := range clusterPrograms {
		samples = append(samples, testcluster.Image{Name: "registry.example/" + name + ":1", Files: map[string]string{program: program}, Libraries: true, Entrypoint: []string{program}})
	}
	for i, image := range samples {
		archive := filepath.Join(dir, strconv.Itoa(i)+".tar")
		if err := image.Write(archive); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	suite, err := suiteArchives()
	return append(archives, suite...), err
}

// suiteArchives are the images of the suite's programs for this machine.
func suiteArchives() ([]string, error) {
	if _, err := suiteImages(); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(imagesDir(), "*-"+runtime.GOARCH+".tar"))
}

// clusterManifests are the objects of deploy/ for the cluster.
func clusterManifests(t *testing.T) []testkube.Object {
	t.Helper()
	text, err := os.ReadFile("../../deploy/watchpost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return manifestsOf(t, text)
}

// manifestsOf are the objects of a text, with the images that the cluster has, and with the collector in a hurry.
func manifestsOf(t *testing.T, text []byte) []testkube.Object {
	t.Helper()
	text = regexp.MustCompile(`(image: watchpost/[a-z-]+)(:\S+)?`).ReplaceAll(text, []byte("$1:"+suiteTag))
	objects, err := testkube.ReadObjects(fstest.MapFS{"watchpost.yaml": {Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		switch o.GetKind() + " " + o.GetName() {
		case "ConfigMap collector-config":
			data["hurry.yml"] = fmt.Sprintf("global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: 1s}\n", clusterInterval)
		case "ConfigMap collector-rules":
			for name, rules := range data {
				data[name] = hurried(rules)
			}
		default:
			continue
		}
		if err := unstructured.SetNestedStringMap(o.Object, data, "data"); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

var ruleFor = regexp.MustCompile(`(?m)^(\s*for: )(\d+)([mh])$`)

// hurried are rules that wait a shorter time until they fire.
func hurried(rules string) string {
	return ruleFor.ReplaceAllStringFunc(rules, func(line string) string {
		m := ruleFor.FindStringSubmatch(line)
		d, err := time.ParseDuration(m[2] + m[3])
		if err != nil {
			panic(err) // the pattern has let through what is none
		}
		return m[1] + (d / forScale).String()
	})
}

// startSuite is a cluster with the suite and the samples in it, all of them running.
func startSuite(t *testing.T) *suite {
	t.Helper()
	if err := testcluster.Missing(); err != nil {
		t.Skip(err)
	}
	for _, program := range clusterPrograms {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("%v; on Debian: apt-get install redis-server prometheus-redis-exporter", err)
		}
	}
	type made struct {
		archives []string
		err      error
	}
	images, dir, manifests := make(chan made, 1), t.TempDir(), clusterManifests(t)
	began := time.Now()
	go func() { // while the cluster starts
		archives, err := clusterImages(dir)
		images <- made{archives, err}
	}()
	policy, audit := filepath.Join(t.TempDir(), "policy.yaml"), filepath.Join(t.TempDir(), "audit.log")
	write(t, policy, auditPolicy)
	c := testcluster.Start(t, testcluster.Options{APIServer: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + audit}})
	ready := time.Now()
	its := <-images
	if its.err != nil {
		t.Fatal(its.err)
	}
	for _, archive := range its.archives {
		if err := c.Import(archive); err != nil {
			t.Fatal(err)
		}
	}
	imported := time.Now()
	s := &suite{Cluster: c, t: t, manifests: manifests, audit: audit}
	s.applyFolder("testdata/cluster")
	s.volume("collector-0")
	s.apply(manifests...)
	s.eventually("the collector answers", func(ctx context.Context) error {
		service, err := c.Client().CoreV1().Services("watchpost").Get(ctx, "collector", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s.collector = &collector{t: t, web: service.Spec.ClusterIP + ":9090"}
		_, err = s.collector.query("up")
		return err
	})
	t.Logf("cluster ready after %s, images after %s more, suite after %s more", ready.Sub(began).Round(time.Second), imported.Sub(ready).Round(time.Second), time.Since(imported).Round(time.Second))
	return s
}

func (s *suite) apply(objects ...testkube.Object) {
	s.t.Helper()
	if err := s.API.Apply(s.t.Context(), objects); err != nil {
		s.t.Fatal(err)
	}
}

// applyFolder is apply of the *.yaml files of a folder.
func (s *suite) applyFolder(folder string) {
	s.t.Helper()
	objects, err := testkube.ReadObjects(os.DirFS(folder))
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(objects...)
}

// volume is a place on the node's disk for one claim.
func (s *suite) volume(name string) {
	s.t.Helper()
	folder := "/var/lib/volumes/" + name
	if _, err := s.Exec("mkdir", "--parents", folder); err != nil {
		s.t.Fatal(err)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %s}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 20Gi}
  local: {path: %s}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%s]}]}]}}
`, name, folder, testcluster.NodeName)
	objects, err := testkube.ReadObjects(fstest.MapFS{"volume.yaml": {Data: []byte(text)}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(objects...)
}

// auditPolicy has the API server write down what the suite asks for, and what it is told of secrets and config maps.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, userGroups: ["system:serviceaccounts:watchpost"], resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Metadata, userGroups: ["system:serviceaccounts:watchpost", "system:serviceaccounts:watchpost-node"]}
- {level: None}
`

// part is one of the test.
type part struct {
	name string
	test func(*suite)
}

// The parts that only look are done beside one another; the others are in this order since the later ones disturb the
// cluster more. WATCHPOST_CLUSTER=long is for longer outages and for what is lost with each right; WATCHPOST_CLUSTER=stay
// lets the cluster run for a while, to look around in.
func TestCluster(t *testing.T) {
	t.Parallel() // and takes no turn: see turns
	s := startSuite(t)
	t.Run("as installed", func(t *testing.T) {
		for _, part := range []part{
			{"every target is up", (*suite).testTargets},
			{"services have names", (*suite).testNames},
			{"node metrics from outside", (*suite).testNodeMetrics},
			{"containers have their pods", (*suite).testContainers},
			{"from an address to CPU and memory", (*suite).testChain},
			{"the same on the page", (*suite).testPage},
			{"troubles raise their alerts", (*suite).testAlerts},
			{"numbers agree", (*suite).testNumbers},
			{"what is granted", (*suite).testPrivileges},
		} {
			t.Run(part.name, func(t *testing.T) {
				t.Parallel()
				part.test(s.in(t))
			})
		}
	})
	for _, part := range []part{
		{"upgrade in place", (*suite).testUpgrade},
		{"agents are killed", (*suite).testKilled},
		{"agents fall silent", (*suite).testSilent},
		{"the API server is away", (*suite).testNoAPIServer},
		{"secrets stay where they are", (*suite).testSecrets},
		{"what is lost without each grant", (*suite).testRemoved},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(s.in(t)) })
	}
	if os.Getenv("WATCHPOST_CLUSTER") == "stay" {
		t.Logf("export KUBECONFIG=%s; collector: http://%s", s.API.Kubeconfig(), s.collector.web)
		time.Sleep(15 * time.Minute)
	}
}
