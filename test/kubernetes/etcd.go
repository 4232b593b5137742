package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// etcdQuota bounds the database, in bytes: 20,000 pods and 2,000 each of the other
// kinds take 580 MB.
const etcdQuota = 8 << 30

// startEtcd starts a store of one member and waits until it takes requests. It
// never syncs to disk: what it took survives the end of the process, not of the
// machine.
func startEtcd(ctx context.Context, o options) (*embed.Etcd, error) {
	var peer int // for a second member, which there never is
	if err := choose(&peer); err != nil {
		return nil, err
	}
	at := func(port int) []url.URL {
		return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}}
	}
	c := embed.NewConfig()
	c.Dir = filepath.Join(o.dir, "etcd")
	c.ListenClientUrls, c.AdvertiseClientUrls = at(o.etcdPort), at(o.etcdPort)
	c.ListenPeerUrls, c.AdvertisePeerUrls = at(peer), at(peer)
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = true
	c.QuotaBackendBytes = etcdQuota
	c.LogLevel = "error"
	c.LogOutputs = []string{"stderr"}
	store, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	select {
	case <-store.Server.ReadyNotify():
		return store, nil
	case err := <-store.Err():
		return nil, fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compact drops the history up to the newest revision, which it returns: a watch or
// a page of a list that starts before it gets 410 Gone from then on.
func compact(ctx context.Context, store *embed.Etcd) (int64, error) {
	revision := store.Server.KV().Rev()
	_, err := store.Server.Compact(ctx, &pb.CompactionRequest{Revision: revision, Physical: true})
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) { // nothing happened since the last time
		return 0, fmt.Errorf("etcd: compaction at revision %d: %w", revision, err)
	}
	return revision, nil
}
