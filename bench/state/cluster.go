package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"watchpost/bench/internal/apiserver"
	"watchpost/internal/testkube/fleet"
)

// cluster is the API server that both programs watch.
type cluster struct{ *apiserver.Server }

// size is that of our own API server's fleet.
func (o *options) size() fleet.Size {
	return fleet.Size{Pods: o.pods, Nodes: o.nodes, Other: o.other}
}

// cluster is the API server that --kubeconfig names, as it is, or one of our own with
// a fleet in it; --dir keeps that for the next run.
func (o *options) cluster(ctx context.Context) (*cluster, error) {
	server, err := apiserver.Open(o.kubeconfig, o.dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{server}
	if c.Own == nil {
		return c, nil
	}
	begun := time.Now()
	if err := c.Fill(ctx, o.size(), o.managed); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	fmt.Fprintf(os.Stderr, "API server with %s after %s\n", o.size(), time.Since(begun).Round(time.Second))
	return c, nil
}

// shown are the resources that both programs show unless told otherwise, and whose
// objects each have a *_created series.
var shown = []schema.GroupVersionResource{
	{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "limitranges"}, {Version: "v1", Resource: "namespaces"},
	{Version: "v1", Resource: "nodes"}, {Version: "v1", Resource: "persistentvolumeclaims"}, {Version: "v1", Resource: "persistentvolumes"},
	{Version: "v1", Resource: "pods"}, {Version: "v1", Resource: "replicationcontrollers"}, {Version: "v1", Resource: "resourcequotas"},
	{Version: "v1", Resource: "secrets"}, {Version: "v1", Resource: "services"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"}, {Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "replicasets"}, {Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"}, {Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}, {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
	{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
}

// objects is how many objects both programs have to show.
func (c *cluster) objects(ctx context.Context) (n int, err error) {
	client, err := metadata.NewForConfig(c.Config)
	if err != nil {
		return 0, err
	}
	for _, r := range shown {
		list, err := client.Resource(r).List(ctx, v1.ListOptions{Limit: 1})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", r.Resource, err)
		}
		n += len(list.Items)
		if list.RemainingItemCount != nil {
			n += int(*list.RemainingItemCount)
		}
	}
	return n, nil
}
