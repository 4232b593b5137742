package main

import (
	"context"
	"errors"
	"fmt"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testcluster"
)

// startCluster starts a cluster of one node with idle pods, and turns the options to it.
func (o *options) startCluster(ctx context.Context) (*testcluster.Cluster, error) {
	if err := testcluster.Missing(); err != nil {
		return nil, err
	}
	c, err := testcluster.Launch(testcluster.Options{})
	if err != nil {
		return nil, err
	}
	if err := runPods(ctx, c, int32(o.clusterPods)); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	o.kubeconfig, o.kubelet, o.node = c.API.Kubeconfig(), fmt.Sprintf("https://%s:10250", c.Node()), testcluster.NodeName
	return c, nil
}

// runPods returns when that many pods of two containers are ready.
func runPods(ctx context.Context, c *testcluster.Cluster, pods int32) error {
	const name = "idle"
	labels := map[string]string{"app": name}
	waits := func(container string) core.Container {
		return core.Container{Name: container, Image: testcluster.PauseImage, ImagePullPolicy: core.PullNever}
	}
	deployments := c.Client().AppsV1().Deployments("default")
	_, err := deployments.Create(ctx, &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: apps.DeploymentSpec{
			Replicas: &pods, Selector: &meta.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: labels}, Spec: core.PodSpec{Containers: []core.Container{waits("a"), waits("b")}}},
		},
	}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	return c.Wait(ctx, fmt.Sprintf("%d pods are ready", pods), func(ctx context.Context) error {
		d, err := deployments.Get(ctx, name, meta.GetOptions{})
		if err == nil && d.Status.ReadyReplicas < pods {
			err = fmt.Errorf("%d are", d.Status.ReadyReplicas)
		}
		return err
	})
}
