package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/run"
	"watchpost/internal/words"
)

// What decides which part of a cluster a program shows can be in the cluster itself:
// the replicas of its StatefulSet, the labels of namespaces. Such few objects are
// followed here, whole and in memory.

// FollowShard calls set with the shard that a pod of a StatefulSet is, from 0, and
// with the number of shards, first when they are known and then when they change. It
// returns when the context ends. failed is told why nothing is known; nil: all is well.
//
// The shard is the number at the end of the pod's name, the number of shards that of
// the replicas, as kube-state-metrics has it.
func (c *Client) FollowShard(ctx context.Context, log *slog.Logger, namespace, pod string, set func(shard, shards int), failed func(error)) {
	var owner string
	for failures := 1; ; failures++ {
		var err error
		if owner, err = c.statefulSetOf(ctx, namespace, pod); err == nil {
			break
		}
		failed(err)
		if failures == 1 {
			log.Warn("The shard of this program is not known", "error", words.OneLine(err))
		}
		if run.Sleep(ctx, pause(failures, err)) != nil {
			return
		}
	}
	query := url.Values{"fieldSelector": {"metadata.name=" + owner}}
	c.follow(ctx, log, &resource{name: "statefulsets", version: apps.SchemeGroupVersion, kind: "StatefulSet", namespaced: true}, namespace, query, func(sets []*unstructured.Unstructured) error {
		if len(sets) == 0 {
			return fmt.Errorf("stateful set %s/%s is not there", namespace, owner)
		}
		shard, shards, err := shardIn(sets[0], pod)
		if err == nil {
			set(shard, shards)
		}
		return err
	}, failed)
}

// statefulSetOf is the name of the StatefulSet that a pod belongs to.
func (c *Client) statefulSetOf(ctx context.Context, namespace, pod string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listSilence)
	defer cancel()
	body, err := c.open(ctx, "/api/v1/namespaces/"+namespace+"/pods/"+pod, nil, mediaJSON+asMeta)
	if err != nil {
		return "", fmt.Errorf("pod %s/%s: %w", namespace, pod, err)
	}
	defer body.Close()
	var o v1.PartialObjectMetadata
	if err := json.NewDecoder(io.LimitReader(body, maxObject)).Decode(&o); err != nil {
		return "", fmt.Errorf("pod %s/%s: %w", namespace, pod, err)
	}
	for _, owner := range o.OwnerReferences {
		if owner.Kind == "StatefulSet" && strings.HasPrefix(owner.APIVersion, "apps/") && owner.Controller != nil && *owner.Controller {
			return owner.Name, nil
		}
	}
	return "", fmt.Errorf("pod %s/%s belongs to no stateful set; name the shard by --shard and --total-shards", namespace, pod)
}

// shardIn is the shard that a pod is of its StatefulSet.
func shardIn(set *unstructured.Unstructured, pod string) (shard, shards int, err error) {
	ordinal := strings.TrimPrefix(pod, set.GetName()+"-")
	shard, err = strconv.Atoi(ordinal)
	if err != nil || shard < 0 {
		return 0, 0, fmt.Errorf("pod %s of stateful set %s has no number at its end", pod, set.GetName())
	}
	replicas, found, err := unstructured.NestedInt64(set.Object, "spec", "replicas")
	if err != nil {
		return 0, 0, fmt.Errorf("stateful set %s: %w", set.GetName(), err)
	}
	if !found {
		replicas = 1
	}
	first, _, err := unstructured.NestedInt64(set.Object, "spec", "ordinals", "start")
	if err != nil {
		return 0, 0, fmt.Errorf("stateful set %s: %w", set.GetName(), err)
	}
	shard -= int(first)
	if shard < 0 || int64(shard) >= replicas {
		return 0, 0, fmt.Errorf("pod %s is not one of the %d replicas of stateful set %s: it is to end", pod, replicas, set.GetName())
	}
	return shard, int(replicas), nil
}

// FollowNamespaces calls set with the names of the namespaces whose labels fit a
// selector, in order, first when they are known and then when they change. It
// returns when the context ends. failed is told why nothing is known; nil: all is well.
func (c *Client) FollowNamespaces(ctx context.Context, log *slog.Logger, selector string, set func([]string), failed func(error)) {
	c.follow(ctx, log, &resource{name: "namespaces", version: core.SchemeGroupVersion, kind: "Namespace"}, "", url.Values{"labelSelector": {selector}}, func(all []*unstructured.Unstructured) error {
		var names []string
		for _, o := range all {
			names = append(names, o.GetName())
		}
		slices.Sort(names)
		set(names)
		return nil
	}, failed)
}

// follow lists and watches objects of a resource and calls changed with all of them,
// when they were listed and after each change, until the context ends. failed is
// called when the state of that changes.
func (c *Client) follow(ctx context.Context, log *slog.Logger, r *resource, namespace string, query url.Values, changed func([]*unstructured.Unstructured) error, failed func(error)) {
	path := resourcePath(r, namespace)
	f := &follower{client: c, decoder: anyDecoder{resource: r}, path: path, query: query, changed: changed, failed: failed}
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := f.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= steady {
			failures = 0
		}
		failures++
		if err != nil && !expired(err) {
			failed(err)
			log.Warn("Cannot list or watch; what was known stays", "path", path, "error", words.OneLine(err))
		}
		run.Sleep(ctx, pause(failures, err))
	}
}

// follower follows objects.
type follower struct {
	client  *Client
	decoder anyDecoder
	path    string
	query   url.Values
	changed func([]*unstructured.Unstructured) error
	failed  func(error)
	objects map[types.UID]*unstructured.Unstructured
}

// round lists once and watches from there, until the watch ends.
func (f *follower) round(ctx context.Context) error {
	timeout := minWatch + rand.N(maxWatch-minWatch)
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	defer time.AfterFunc(timeout+watchGrace, func() { giveUp(errSilent) }).Stop()
	body, err := f.client.open(ctx, f.path, f.query, mediaJSON)
	if err != nil {
		return cause(ctx, err)
	}
	f.objects = make(map[types.UID]*unstructured.Unstructured)
	meta, err := f.decoder.list(&guarded{body, listSilence, giveUp}, func(o v1.Object) error {
		f.objects[o.GetUID()] = o.(*unstructured.Unstructured)
		return nil
	})
	body.Close()
	if err != nil {
		return cause(ctx, err)
	}
	f.tell()
	query := maps.Clone(f.query)
	query.Set("watch", "1")
	query.Set("resourceVersion", meta.ResourceVersion)
	query.Set("timeoutSeconds", strconv.Itoa(int(timeout.Seconds())))
	body, err = f.client.open(ctx, f.path, query, mediaJSON)
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
	return cause(ctx, f.decoder.watch(body, func(e event) error {
		o, ok := e.object.(*unstructured.Unstructured)
		switch {
		case !ok:
			return errors.New("BUG: kube: an event without its object")
		case e.verb == verbAdded || e.verb == verbModified:
			f.objects[e.uid] = o
		case e.verb == verbDeleted:
			delete(f.objects, e.uid)
		default:
			return nil
		}
		f.tell()
		return nil
	}))
}

// tell passes the objects on, in the order of their names.
func (f *follower) tell() {
	all := slices.SortedFunc(maps.Values(f.objects), func(a, b *unstructured.Unstructured) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
	f.failed(f.changed(all))
}
