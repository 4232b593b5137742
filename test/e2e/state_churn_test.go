//go:build e2e

package e2e

// The state-agent while everything changes: whatever moment a scrape meets, it is
// whole, and in the end what it says is what one says that has just been started.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"watchpost/internal/testkube"
	"watchpost/kube"
)

// railway are objects of every resource.
const railway = "../../kube/testdata/objects"

// everythingOn makes a state-agent, or kube-state-metrics, show all it can.
func everythingOn(resources []string) []string {
	return []string{"--resources=" + strings.Join(resources, ","), "--metric-labels-allowlist=*=[*]", "--metric-annotations-allowlist=*=[*]",
		"--metric-opt-in-list=kube_pod_nodeselectors,kube_persistentvolume_csi_attributes"}
}

// duration is that of an environment variable, or another.
func duration(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// renewed are the series that the API server changes by itself.
var renewed = regexp.MustCompile(`lease="apiserver-|namespace="kube-`)

// settled is an exposition without them.
func (p parsed) settled() map[string]float64 {
	series := maps.Clone(p.series)
	maps.DeleteFunc(series, func(s string, _ float64) bool { return renewed.MatchString(s) })
	return series
}

// differences of two sets of series, a few of them.
func differences(want, got map[string]float64) []string {
	var d []string
	for s, v := range want {
		if g, ok := got[s]; !ok {
			d = append(d, fmt.Sprintf("- %s %v", s, v))
		} else if g != v && (g == g || v == v) {
			d = append(d, fmt.Sprintf("! %s %v, want %v", s, g, v))
		}
	}
	for s, v := range got {
		if _, ok := want[s]; !ok {
			d = append(d, fmt.Sprintf("+ %s %v", s, v))
		}
	}
	slices.Sort(d)
	if len(d) > 30 {
		d = append(d[:30], fmt.Sprintf("and %d more", len(d)-30))
	}
	return d
}

// upheaval creates, changes and deletes copies of objects.
type upheaval struct {
	client   dynamic.Interface
	mapper   meta.RESTMapper
	byKind   map[schema.GroupKind][]testkube.Object
	number   atomic.Int64
	done     [3]atomic.Int64 // created, changed, deleted
	mu       sync.Mutex
	kinds    map[string]int // objects that were made, by resource
	refusals map[string]int // what the API server did not take
}

// Where the copies of namespaced objects go. Quotas and limits have one of their own,
// as they would have a say in what else may be made.
const churned, limited = "churn", "churn-limits"

func newUpheaval(t *testing.T, c *testkube.Cluster, objects []testkube.Object) *upheaval {
	t.Helper()
	config := rest.CopyConfig(c.Config())
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(c.Client().Discovery())
	if err != nil {
		t.Fatal(err)
	}
	u := &upheaval{client: client, mapper: restmapper.NewDiscoveryRESTMapper(groups), byKind: map[schema.GroupKind][]testkube.Object{},
		kinds: map[string]int{}, refusals: map[string]int{}}
	for _, o := range objects {
		if k := o.GroupVersionKind().GroupKind(); k.Group != "scheduling.k8s.io" && k.Group != "node.k8s.io" { // which pods name
			u.byKind[k] = append(u.byKind[k], o)
		}
	}
	namespace(t, c, churned, nil)
	namespace(t, c, limited, nil)
	for _, name := range []string{churned, limited} {
		account := &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		if _, err := c.Client().CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// copyOf is a template under another name.
func (u *upheaval) copyOf(o testkube.Object, name string) *unstructured.Unstructured {
	c := o.DeepCopy()
	c.SetName(name)
	c.SetFinalizers(nil)
	c.SetOwnerReferences(nil)
	if c.GetNamespace() != "" {
		c.SetNamespace(churned)
	}
	switch o.GetKind() {
	case "Service": // addresses are given once
		for _, f := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort"} {
			if v, _, _ := unstructured.NestedString(c.Object, "spec", f); v != "None" {
				unstructured.RemoveNestedField(c.Object, "spec", f)
			}
		}
		ports, _, _ := unstructured.NestedSlice(c.Object, "spec", "ports")
		for _, p := range ports {
			delete(p.(map[string]any), "nodePort")
		}
		if len(ports) > 0 {
			unstructured.SetNestedSlice(c.Object, ports, "spec", "ports")
		}
	case "ResourceQuota", "LimitRange":
		c.SetNamespace(limited)
	}
	return c
}

// refused notes what the API server did not take, by its kind.
func (u *upheaval) refused(what string, o *unstructured.Unstructured, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		u.refusals[what+" "+o.GetKind()+": "+strings.ReplaceAll(err.Error(), o.GetName(), "NAME")]++
	}
}

// life is that of one object.
func (u *upheaval) life(ctx context.Context, r *rand.Rand, kind schema.GroupKind, pause func()) {
	templates := u.byKind[kind]
	o := u.copyOf(templates[r.IntN(len(templates))], fmt.Sprintf("churn-%d", u.number.Add(1)))
	mapping, err := u.mapper.RESTMapping(kind, o.GroupVersionKind().Version)
	if err != nil {
		u.refused("find", o, err)
		return
	}
	var api dynamic.ResourceInterface = u.client.Resource(mapping.Resource)
	if o.GetNamespace() != "" {
		api = u.client.Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	if _, err := api.Create(ctx, o, metav1.CreateOptions{}); err != nil {
		u.refused("create", o, err)
		return
	}
	u.done[0].Add(1)
	u.mu.Lock()
	u.kinds[mapping.Resource.Resource]++
	u.mu.Unlock()
	for range 1 + r.IntN(3) {
		pause()
		u.alter(ctx, r, api, o, templates)
	}
	pause()
	u.remove(ctx, api, o)
}

// alter changes an object's metadata, and its status to that of another of its kind.
func (u *upheaval) alter(ctx context.Context, r *rand.Rand, api dynamic.ResourceInterface, o *unstructured.Unstructured, templates []testkube.Object) {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"churn":"v%d"},"annotations":{"churn.example/turn":"%d"}}}`, r.IntN(10), r.IntN(1000))
	if _, err := api.Patch(ctx, o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		u.refused("patch", o, err)
		return
	}
	u.done[1].Add(1)
	status, found, _ := unstructured.NestedMap(templates[r.IntN(len(templates))].Object, "status")
	if !found {
		return
	}
	stored, err := api.Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil {
		return
	}
	stored.Object["status"] = status
	// A status that does not fit this object is refused: then it stays as it is.
	if _, err := api.UpdateStatus(ctx, stored, metav1.UpdateOptions{}); err == nil {
		u.done[1].Add(1)
	}
}

// remove deletes an object for good, as the controllers that do not run would.
func (u *upheaval) remove(ctx context.Context, api dynamic.ResourceInterface, o *unstructured.Unstructured) {
	now, background := int64(0), metav1.DeletePropagationBackground
	if err := api.Delete(ctx, o.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background}); err != nil {
		u.refused("delete", o, err)
		return
	}
	u.done[2].Add(1)
	left, err := api.Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil {
		return
	}
	if len(left.GetFinalizers()) > 0 {
		if _, err := api.Patch(ctx, o.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
			u.refused("free", o, err)
		}
		return
	}
	if o.GetKind() == "Namespace" {
		unstructured.SetNestedSlice(left.Object, nil, "spec", "finalizers")
		if _, err := api.Update(ctx, left, metav1.UpdateOptions{}, "finalize"); err != nil {
			u.refused("finalize", o, err)
		}
	}
}

// run has some writers at work until the context ends, each at some objects a second.
func (u *upheaval) run(ctx context.Context, writers int) {
	kinds := slices.SortedFunc(maps.Keys(u.byKind), func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 4))
			pause := func() {
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(r.IntN(60)) * time.Millisecond):
				}
			}
			for i := w; ctx.Err() == nil; i += writers { // each kind is met, however short the test
				// Nothing may be left behind, also when time is up.
				u.life(context.WithoutCancel(ctx), r, kinds[i%len(kinds)], pause)
			}
		})
	}
	all.Wait()
}

// Objects of every resource come, change and go, for 20 s or WATCHPOST_CHURN=10m.
// Each scrape can be read, has no series twice and shows all that was there all the
// time, as it was. Afterwards a state-agent that has just been started says the same,
// and so does the kube-state-metrics that WATCHPOST_KSM names.
func TestStateAgentChurn(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	folder := os.DirFS(railway)
	c.Load(t, folder)
	objects, err := testkube.ReadObjects(folder)
	if err != nil {
		t.Fatal(err)
	}
	u := newUpheaval(t, c, objects)
	args := append(everythingOn(kube.Resources()), "--kubeconfig="+c.Kubeconfig())
	a := startStateAgent(t, args...).ready()
	var lasting map[string]float64
	eventually(t, "the railway is shown", func() error {
		lasting = a.scrape("").settled()
		if len(lasting) < 1500 {
			return fmt.Errorf("%d series", len(lasting))
		}
		return nil
	})
	// The default account of the namespaces and those that make the objects are in it.
	maps.DeleteFunc(lasting, func(s string, _ float64) bool {
		return strings.HasPrefix(s, `{__name__="kube_namespace_`) && strings.Contains(s, `"churn`)
	})

	ctx, stop := context.WithTimeout(t.Context(), duration(t, "WATCHPOST_CHURN", 20*time.Second))
	defer stop()
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		u.run(ctx, 4)
	}()
	forms := [][]string{{"Accept", acceptText, "Accept-Encoding", "identity"}, {"Accept", acceptText, "Accept-Encoding", "gzip"}, {"Accept", acceptOpenMetrics, "Accept-Encoding", "gzip"}}
	scrapes, most := 0, 0
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for ctx.Err() == nil {
		p := a.scrape("", forms[scrapes%len(forms)]...)
		if scrapes++; len(p.series) > most {
			most = len(p.series)
		}
		missing := 0
		for s, v := range lasting {
			if got, ok := p.series[s]; !ok || got != v && v == v {
				if missing++; missing < 5 {
					t.Errorf("scrape %d: %s is %v (there: %t), want %v", scrapes, s, got, ok, v)
				}
			}
		}
		if missing > 0 {
			t.Fatalf("scrape %d: %d of %d lasting series are missing or changed", scrapes, missing, len(lasting))
		}
		select {
		case <-each.C:
		case <-ctx.Done():
		}
	}
	<-quiet
	t.Logf("%d created, %d changed, %d deleted; %d scrapes, at most %d series, %d of them lasting", u.done[0].Load(), u.done[1].Load(), u.done[2].Load(), scrapes, most, len(lasting))
	for what, n := range u.refusals {
		t.Errorf("refused %d times: %s", n, what)
	}
	for _, name := range kube.Resources() {
		if u.kinds[name] == 0 {
			t.Errorf("no object of %s came and went", name)
		}
	}

	fresh := startStateAgent(t, args...).ready()
	var want map[string]float64
	eventually(t, "the same as one just started", func() error {
		want = fresh.scrape("").settled()
		if d := differences(want, a.scrape("").settled()); len(d) > 0 {
			return fmt.Errorf("\n%s", strings.Join(d, "\n"))
		}
		return nil
	})
	for s := range want {
		if strings.Contains(s, `"churn-`) && !strings.Contains(s, `"churn-limits"`) {
			t.Errorf("left over: %s", s)
		}
	}
	own := parse(t, get(t, http.DefaultClient, a.tele+"/metrics"))
	for s, v := range own.series {
		if strings.HasPrefix(s, `{__name__="watchpost_kube_panics_total"`) && v != 0 {
			t.Errorf("%s %v", s, v)
		}
	}
	if path := os.Getenv("WATCHPOST_KSM"); path != "" {
		compareKSM(t, c, path, want)
	}
}

// differing are families that kube-state-metrics 2.18 tells otherwise, and why.
var differing = map[string]string{
	"kube_configmap_labels":                                 "names that clash: 2.18 gives one name to two labels",
	"kube_cronjob_next_schedule_time":                       "2.20 does not take a step as long as its range",
	"kube_endpointslice_endpoints":                          "2.18 has the conditions in the wrong labels and no terminating",
	"kube_horizontalpodautoscaler_spec_target_metric":       "2.20 has the label container",
	"kube_horizontalpodautoscaler_status_target_metric":     "2.20 has the label container",
	"kube_pod_spec_volumes_persistentvolumeclaims_info":     "2.20 has ephemeral volumes",
	"kube_pod_spec_volumes_persistentvolumeclaims_readonly": "2.20 has ephemeral volumes",
	"kube_pod_status_reason":                                "2.20 shows only the reasons that count, and more of them",
}

// compareKSM compares with what kube-state-metrics says of a cluster, in the families
// that both have.
func compareKSM(t *testing.T, c *testkube.Cluster, path string, ours map[string]float64) {
	t.Helper()
	port, telemetry := freeAddress(t), freeAddress(t)
	_, p, _ := strings.Cut(port, ":")
	_, q, _ := strings.Cut(telemetry, ":")
	said := new(lockedBuffer)
	known := slices.DeleteFunc(kube.Resources(), func(name string) bool { return strings.Contains(name, "admissionpolic") }) // 2.20
	cmd := exec.Command(path, append(everythingOn(known), "--kubeconfig="+c.Kubeconfig(), "--host=127.0.0.1", "--telemetry-host=127.0.0.1", "--port="+p, "--telemetry-port="+q)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = said, said, append(os.Environ(), "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	byFamily := func(series map[string]float64) map[string]map[string]float64 {
		out := map[string]map[string]float64{}
		for s, v := range series {
			name, _, _ := strings.Cut(strings.TrimPrefix(s, `{__name__="`), `"`)
			if out[name] == nil {
				out[name] = map[string]float64{}
			}
			out[name][s] = v
		}
		return out
	}
	us := byFamily(ours)
	eventually(t, "what kube-state-metrics says", func() error {
		res, err := http.Get("http://" + port + "/metrics")
		if err != nil {
			return fmt.Errorf("%w: %.2000s", err, said)
		}
		res.Body.Close()
		them := byFamily(parsed{series: parseLoose(t, get(t, http.DefaultClient, "http://"+port+"/metrics"))}.settled())
		both, wrong := 0, []string(nil)
		for name, theirs := range them {
			if us[name] == nil || differing[name] != "" {
				continue
			}
			both++
			if d := differences(theirs, us[name]); len(d) > 0 {
				wrong = append(wrong, fmt.Sprintf("%s: %s", name, strings.Join(d[:min(4, len(d))], "; ")))
			}
		}
		if both < 250 {
			return fmt.Errorf("%d families in common", both)
		}
		if len(wrong) > 0 {
			return fmt.Errorf("of %d families in common:\n%s", both, strings.Join(wrong, "\n"))
		}
		t.Logf("the same as kube-state-metrics in %d families; it has %d and we have %d", both, len(them), len(us))
		return nil
	})
}

// parseLoose reads an exposition that may have series twice; the first counts.
func parseLoose(t *testing.T, got answer) map[string]float64 {
	t.Helper()
	p, err := textparse.New([]byte(got.body), got.contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return series
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry == textparse.EntrySeries {
			var ls labels.Labels
			p.Labels(&ls)
			if _, twice := series[ls.String()]; !twice {
				_, _, series[ls.String()] = p.Series()
			}
		}
	}
}
