package fleet

import (
	"context"
	"fmt"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
)

// soon asks until there is no error.
func soon(t *testing.T, ask func() error) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestKubelets(t *testing.T) {
	c := testkube.Start(t, testkube.Options{})
	client := c.Client().CoreV1()
	k, err := Join(t.Context(), c.Config(), 3, func(err error) { t.Errorf("told: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	nodes, err := client.Nodes().List(t.Context(), meta.ListOptions{})
	if err != nil || len(nodes.Items) != 3 {
		t.Fatalf("%d nodes, %v", len(nodes.Items), err)
	}
	for _, n := range nodes.Items {
		if len(n.Spec.Taints) == 0 || n.Spec.Taints[0].Key != Taint.Key {
			t.Errorf("taints of %s are %v", n.Name, n.Spec.Taints)
		}
		for _, condition := range n.Status.Conditions {
			if condition.Type == core.NodeReady && (condition.Status != core.ConditionTrue || time.Since(condition.LastHeartbeatTime.Time) > time.Minute) {
				t.Errorf("%s: %v", n.Name, condition)
			}
		}
		leases := c.Client().CoordinationV1().Leases(core.NamespaceNodeLease)
		lease, err := leases.Get(t.Context(), n.Name, meta.GetOptions{})
		if err != nil || lease.OwnerReferences[0].UID != n.UID {
			t.Fatalf("lease of %s: %v, %v", n.Name, lease, err)
		}
		if err := k.lease(t.Context(), k.nodes[n.Name]); err != nil {
			t.Fatal(err)
		}
		if renewed, err := leases.Get(t.Context(), n.Name, meta.GetOptions{}); err != nil || !renewed.Spec.RenewTime.After(lease.Spec.RenewTime.Time) {
			t.Errorf("lease of %s was not renewed: %v, %v", n.Name, renewed, err)
		}
	}

	// What a controller does in a whole cluster.
	for i := range namespaces {
		if _, err := client.Namespaces().Create(t.Context(), newNamespace(Size{}, i), meta.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.ServiceAccounts(namespace(i)).Create(t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "default"}}, meta.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const count = 120
	if err := k.Settle(t.Context(), count); err != nil {
		t.Fatal(err)
	}
	pods, err := client.Pods("").List(t.Context(), meta.ListOptions{})
	if err != nil || len(pods.Items) != count {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	addresses, scraped := map[string]bool{}, 0
	for _, p := range pods.Items {
		addresses[p.Status.PodIP] = true
		if p.Annotations["prometheus.io/scrape"] == "true" {
			scraped++
		}
		if p.Status.Phase != core.PodRunning || len(p.Status.ContainerStatuses) != 1 || !p.Status.ContainerStatuses[0].Ready || p.Status.HostIP != nodeIP(k.nodes[p.Spec.NodeName]) {
			t.Errorf("%s: %+v", p.Name, p.Status)
		}
	}
	if len(addresses) != count || scraped != 2 {
		t.Errorf("%d addresses, %d pods to scrape; want %d and 2", len(addresses), scraped, count)
	}

	// A pod of the host's network, and one that ends in time.
	grace := int64(30)
	agent := settled(Size{Pods: 1, Nodes: 3}, 0)
	agent.Name, agent.Spec.HostNetwork, agent.Spec.TerminationGracePeriodSeconds = "agent", true, &grace
	agent.Spec.InitContainers = []core.Container{{Name: "first", Image: "first:1"}}
	if _, err := client.Pods(agent.Namespace).Create(t.Context(), agent, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() error {
		p, err := client.Pods(agent.Namespace).Get(t.Context(), "agent", meta.GetOptions{})
		if err == nil && (p.Status.PodIP != nodeIP(0) || p.Status.InitContainerStatuses[0].State.Terminated == nil) {
			err = fmt.Errorf("%+v", p.Status)
		}
		return err
	})
	if err := client.Pods(agent.Namespace).Delete(t.Context(), "agent", meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() error {
		_, err := client.Pods(agent.Namespace).Get(t.Context(), "agent", meta.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there: %w", err)
	})
	// One that is not on these nodes is left alone.
	other := settled(Size{Pods: 1, Nodes: 3}, 0)
	other.Name, other.Spec.NodeName = "other", "elsewhere"
	if _, err := client.Pods(other.Namespace).Create(t.Context(), other, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	<-ctx.Done()
	if p, err := client.Pods(other.Namespace).Get(t.Context(), "other", meta.GetOptions{}); err != nil || p.Status.Phase != core.PodPending {
		t.Errorf("a pod of another node: %v, %v", p.Status, err)
	}
}
