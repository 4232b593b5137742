//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/internal/testkube"
)

// agents are the programs on the node that the collector scrapes, by the namespace of their pods.
var agents = map[string]string{"node-agent": "watchpost-node", "cadvisor-proxy": "watchpost", "state-agent": "watchpost"}

// watched are series of which there is one sample each interval, whoever tells it.
var watched = []string{"node_load1", `container_memory_working_set_bytes{id="/"}`, `kube_node_info`, "redis_up"}

// gap is the longest time without a sample of an expression since a moment, with the one before and until now.
func (s *suite) gap(expr string, since time.Time) time.Duration {
	s.t.Helper()
	got, err := s.query("%s[%ds]", expr, int((time.Since(since)+2*clusterInterval)/time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	var times []float64
	for _, one := range got { // a program that is another pod now tells it under another instance
		for _, p := range one.Values {
			times = append(times, p.at)
		}
	}
	times = append(times, float64(time.Now().UnixMilli())/1e3)
	slices.Sort(times)
	longest := 0.0
	for i := range times[1:] {
		longest = max(longest, times[i+1]-times[i])
	}
	return time.Duration(longest * float64(time.Second)).Round(10 * time.Millisecond)
}

// mostGap is what may be missing when the suite itself is exchanged: two scrapes at the interval that deploy/ has. Here
// there are three times as many scrapes, so that a gap is seen more exactly.
const mostGap = 2 * 15 * time.Second

// gaps are an error for what was missed for longer.
func (s *suite) gaps(what string, since time.Time, most time.Duration, series []string) {
	s.t.Helper()
	for _, expr := range series {
		longest := s.gap(expr, since)
		s.t.Logf("%s: %s between two samples of %s", what, longest, expr)
		if longest > most {
			s.t.Errorf("%s: %s without a sample of %s, more than %s", what, longest, expr, most)
		}
	}
}

// withImages are the manifests with another tag of the suite's images.
func (s *suite) withImages(tag string) []testkube.Object {
	var out []testkube.Object
	for _, o := range s.manifests {
		o.Unstructured = o.DeepCopy()
		containers, found, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		if found {
			for _, c := range containers {
				c := c.(map[string]any)
				name, _, _ := strings.Cut(c["image"].(string), ":")
				c["image"] = name + ":" + tag
			}
			if err := unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"); err != nil {
				s.t.Fatal(err)
			}
		}
		out = append(out, o)
	}
	return out
}

// rolledOut is an error until all pods of the suite are of the newest kind, and ready.
func (s *suite) rolledOut(ctx context.Context) error {
	for _, namespace := range []string{"watchpost", "watchpost-node"} {
		daemons, err := s.Client().AppsV1().DaemonSets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range daemons.Items {
			if st := d.Status; st.ObservedGeneration != d.Generation || st.UpdatedNumberScheduled != st.DesiredNumberScheduled || st.NumberAvailable != st.DesiredNumberScheduled {
				return fmt.Errorf("daemon set %s: %+v", d.Name, st)
			}
		}
		sets, err := s.Client().AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range sets.Items {
			if st := d.Status; st.ObservedGeneration != d.Generation || st.UpdatedReplicas != *d.Spec.Replicas || st.ReadyReplicas != *d.Spec.Replicas {
				return fmt.Errorf("stateful set %s: %+v", d.Name, st)
			}
		}
		deployments, err := s.Client().AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if st := d.Status; st.ObservedGeneration != d.Generation || st.UpdatedReplicas != *d.Spec.Replicas || st.AvailableReplicas != *d.Spec.Replicas || st.Replicas != *d.Spec.Replicas {
				return fmt.Errorf("deployment %s: %+v", d.Name, st)
			}
		}
	}
	return nil
}

// All of the suite is upgraded at once, and no more than two scrapes are missing.
func (s *suite) testUpgrade() {
	const tag = "next"
	for _, program := range []string{"node-agent", "state-agent", "cadvisor-proxy", "collector"} {
		image := "docker.io/watchpost/" + program
		if _, err := s.Exec("ctr", "--namespace", "k8s.io", "images", "tag", image+":"+suiteTag, image+":"+tag); err != nil {
			s.t.Fatal(err)
		}
	}
	began := time.Now()
	s.apply(s.withImages(tag)...)
	s.eventually("all of the suite is upgraded", s.rolledOut)
	s.t.Logf("upgraded after %s", time.Since(began).Round(time.Second))
	s.eventually("every target is up again", s.healthy)
	for namespace, want := range map[string]int{"watchpost": 3, "watchpost-node": 1} {
		pods, err := s.Client().CoreV1().Pods(namespace).List(s.t.Context(), metav1.ListOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		upgraded := 0
		for _, p := range pods.Items {
			if p.DeletionTimestamp == nil && strings.HasSuffix(p.Spec.Containers[0].Image, ":"+tag) {
				upgraded++
			}
		}
		if upgraded != want {
			s.t.Errorf("%d pods of %s have the new image, want %d", upgraded, namespace, want)
		}
	}
	time.Sleep(2 * clusterInterval) // what comes after the gaps
	s.gaps("upgrade", began, mostGap, watched)
}

// signal sends one to the processes of a program of the suite.
func (s *suite) signal(program string, signal syscall.Signal) (of corev1.Pod) {
	s.t.Helper()
	pod, err := s.pod(s.t.Context(), agents[program], program)
	if err != nil {
		s.t.Fatal(err)
	}
	pids, err := s.Processes(pod.Status.ContainerStatuses[0].ContainerID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil {
			s.t.Fatalf("%s, process %d: %v", program, pid, err)
		}
	}
	return pod
}

// Each agent is killed, and comes back by itself.
func (s *suite) testKilled() {
	began := time.Now()
	killed := map[string]corev1.Pod{}
	for program := range agents {
		killed[program] = s.signal(program, syscall.SIGKILL)
	}
	for program, before := range killed {
		s.eventually(program+" runs again", func(ctx context.Context) error {
			pod, err := s.Client().CoreV1().Pods(before.Namespace).Get(ctx, before.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if st := pod.Status.ContainerStatuses[0]; st.RestartCount <= before.Status.ContainerStatuses[0].RestartCount || !st.Ready {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	}
	s.t.Logf("all run again after %s", time.Since(began).Round(time.Second))
	s.eventually("every target is up again", s.healthy)
	for program, pod := range killed {
		s.eventually("the restart of "+program+" is told", func(context.Context) error {
			_, err := s.query(`kube_pod_container_status_restarts_total{namespace=%q, pod=%q} >= 1`, pod.Namespace, pod.Name)
			return err
		})
	}
	time.Sleep(2 * clusterInterval)
	s.gaps("killed", began, mostGap, watched)
}

// Agents that answer no more are told of, each by its job; once they answer again the alerts end.
func (s *suite) testSilent() {
	jobs := map[string]string{"node-agent": "node", "cadvisor-proxy": "cadvisor-proxy", "state-agent": "state-agent"}
	for program := range agents {
		s.signal(program, syscall.SIGSTOP)
	}
	for program, job := range jobs {
		s.eventually("an alert about "+program, func(context.Context) error { return s.firing("TargetsDown", map[string]string{"job": job}) })
	}
	for program := range agents {
		s.signal(program, syscall.SIGCONT)
	}
	s.eventually("every target is up again", s.healthy)
	s.eventually("the alerts end", func(context.Context) error { return s.none(`ALERTS{alertname="TargetsDown"}`) })
}

// kubeletTrust is how long a kubelet remembers whose a token is (authentication.webhook.cacheTTL).
const kubeletTrust = 2 * time.Minute

// The API server is away for a while: what does not need it goes on without a gap, its absence is told, and once it is
// back so is everything, with what has changed.
func (s *suite) testNoAPIServer() {
	outage := 20 * time.Second
	if os.Getenv("WATCHPOST_CLUSTER") == "long" {
		outage = 2*time.Minute + 10*time.Second
	}
	began := time.Now()
	s.API.Kill()
	for time.Since(began) < outage {
		time.Sleep(time.Second)
	}
	if err := s.firing("TargetsDown", map[string]string{"job": "apiserver"}); err != nil {
		s.t.Errorf("%s without an API server: %v", outage, err)
	}
	onGoing := watched
	if outage >= kubeletTrust {
		// The kubelet asks the API server who asks. cadvisor-proxy says that it gets no answer.
		onGoing = slices.DeleteFunc(slices.Clone(watched), func(expr string) bool { return strings.HasPrefix(expr, "container_") })
		s.eventually("it is told that the kubelet does not answer", func(context.Context) error { return s.firing("ContainerMetricsMissing", nil) })
	}
	s.gaps("without an API server", began, 3*clusterInterval, onGoing)
	if err := s.API.Restart(); err != nil {
		s.t.Fatal(err)
	}
	back := time.Now()
	s.eventually("every target is up again", s.healthy)
	s.t.Logf("every target was up %s after the API server", time.Since(back).Round(time.Second))
	s.eventually("the alert ends", func(context.Context) error { return s.none(`ALERTS{alertname="TargetsDown", job="apiserver"}`) })
	s.t.Logf("the alert had ended %s after it", time.Since(back).Round(time.Second))
	s.eventually("a namespace that is made afterwards is told", func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			_, err = s.one(`kube_namespace_created{namespace="late"}`)
		}
		return err
	})
	s.t.Logf("the suite was back %s after the API server", time.Since(back).Round(time.Second))
	if os.Getenv("WATCHPOST_CLUSTER") == "long" {
		s.latePod() // Kubernetes itself needs a minute
	}
	s.eventually("Kubernetes has everything as ready again", s.rolledOut)
}

// latePod makes a pod, and waits until it is known with what it uses.
func (s *suite) latePod() {
	s.t.Helper()
	late := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: "shop"}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{{Name: "late", Image: "registry.example/sample:1", ImagePullPolicy: corev1.PullNever, Args: []string{"hold", "8"}}}}}
	s.eventually("a pod can be made", func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Pods("shop").Create(ctx, &late, metav1.CreateOptions{})
		return err
	})
	s.eventually("a pod that is made afterwards is known with what it uses", func(ctx context.Context) error {
		pod, err := s.Client().CoreV1().Pods("shop").Get(ctx, "late", metav1.GetOptions{})
		if err == nil && pod.Status.PodIP == "" {
			err = errors.New("no address yet")
		}
		if err != nil {
			return err
		}
		_, err = s.one(`container_memory_working_set_bytes{pod="late", container="late", pod_ip=%q} and on (namespace, pod, pod_ip, node) kube_pod_info`, pod.Status.PodIP)
		return err
	})
}
