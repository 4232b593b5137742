package main

// One of several collectors that divide the targets among them.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/promstack"
	"watchpost/internal/run"
	"watchpost/kube"
)

// shardFlags are named and meant as state-agent's.
type shardFlags struct {
	shard, total   *int
	pod, namespace *string
}

func (f *shardFlags) declare(app *cli.App) {
	f.shard = app.Flag("shard", "Which part of the targets to scrape, counted from 0.").Default("0").Int()
	f.total = app.Flag("total-shards", "Number of the parts; 1 is everything.").Default("1").Int()
	f.pod = app.Flag("pod", "Name of this program's own pod, one of a StatefulSet: the shard is its number, and their number is that of the replicas. Put before --shard.").PlaceHolder("NAME").String()
	f.namespace = app.Flag("pod-namespace", "The namespace of --pod; that of the service account unless given.").PlaceHolder("NAME").String()
}

// apply checks the flags and enters them into o.
func (f *shardFlags) apply(o *options) error {
	if *f.total < 1 || *f.shard < 0 || *f.shard >= *f.total {
		return fmt.Errorf("--shard %d --total-shards %d: want a shard from 0 to one less than their number", *f.shard, *f.total)
	}
	o.engine.Source.Shard = promstack.Shard{Index: *f.shard, Total: *f.total}
	if *f.pod == "" {
		if *f.namespace != "" {
			return errors.New("--pod-namespace needs --pod")
		}
		return nil
	}
	o.pod, o.namespace = *f.pod, *f.namespace
	if o.namespace == "" {
		b, err := os.ReadFile(filepath.Join(accountDir, "namespace"))
		if err != nil {
			return fmt.Errorf("--pod %s without --pod-namespace: %w", o.pod, err)
		}
		o.namespace = strings.TrimSpace(string(b))
	}
	return nil
}

// shardTask learns the shard from the StatefulSet. It is ready when the shard is
// known: until then the engine must not scrape what others scrape.
func (o options) shardTask(engine *promstack.Engine, log *slog.Logger) (run.Task, error) {
	client, err := kube.NewClient(kube.ClientConfig{UserAgent: "watchpost-collector/" + version.Version})
	if err != nil {
		return run.Task{}, cli.Usage(fmt.Errorf("--pod %s: %w", o.pod, err))
	}
	log = log.With("component", "shard")
	return run.Task{Name: "shard", Run: func(ctx context.Context, ready func()) error {
		known := false
		client.FollowShard(ctx, log, o.namespace, o.pod, func(shard, shards int) {
			log.Info("The shard is known", "shard", shard, "shards", shards)
			if err := engine.SetShard(promstack.Shard{Index: shard, Total: shards}); err != nil {
				log.Error("The shard was not taken over", "err", err)
			}
			if !known {
				known = true
				ready()
			}
		}, func(error) {})
		return nil
	}}, nil
}
