package kube

import "hash/fnv"

// Sharding, with kube-state-metrics' assignment (pkg/sharding there): an object
// belongs to the shard that the jump consistent hash of the FNV-1a hash of its UID
// names. The algorithm of the jump hash: https://arxiv.org/abs/1406.2294.

// shardOf is the shard, from 0, that an object belongs to.
func shardOf(uid []byte, shards int) int {
	h := fnv.New64a()
	h.Write(uid)
	key := h.Sum64()
	var shard, next int64 = -1, 0
	for next < int64(shards) {
		shard = next
		key = key*2862933555777941757 + 1
		next = int64(float64(shard+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int(shard)
}

// keepShard keeps the objects of one shard; of one shard in all nil, which keeps all.
func keepShard(shard, shards int) keepFunc {
	if shards <= 1 {
		return nil
	}
	return func(uid []byte) bool { return shardOf(uid, shards) == shard }
}
