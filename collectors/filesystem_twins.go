package collectors

// File systems that are mounted in several places: bind mounts, and the volumes of
// pods, which kubelet mounts once for the node (plugins/.../globalmount) and again
// for each pod. One mount stands for all of them: see docs/design/mounts.md.

import (
	"cmp"
	"slices"
	"strings"
)

// twinKey is what mounts have in common that are one thing in several places: the
// same folder of the same file system, from the same source, with the same right to
// write. Another folder may have a quota of its own, and is another thing.
type twinKey struct {
	major, minor, root, fstype, source string
	readonly                           bool
}

// twinsOf groups the mounts that are the same, best first, where there are several.
func twinsOf(mounts []*mount) (groups [][]*mount) {
	by := make(map[twinKey][]*mount)
	var order []twinKey
	for _, m := range mounts {
		key := twinKey{m.major, m.minor, m.root, m.fstype, m.source, m.readonly}
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], m)
	}
	for _, key := range order {
		if group := by[key]; len(group) > 1 {
			slices.SortStableFunc(group, func(a, b *mount) int {
				return cmp.Or(cmp.Compare(kubeletPlace(a.point), kubeletPlace(b.point)),
					cmp.Compare(len(a.point), len(b.point)), strings.Compare(a.point, b.point))
			})
			groups = append(groups, group)
		}
	}
	return groups
}

// kubeletPlace is 0 for a place of the host's own, 1 for one of a pod (whose path
// names the volume) and 2 for one that a volume plugin mounts for kubelet.
func kubeletPlace(point string) int {
	switch {
	case strings.Contains(point, "/kubelet/pods/"):
		return 1
	case strings.Contains(point, "/kubelet/plugins/"):
		return 2
	}
	return 0
}

// hideTwins leaves one of each group to be shown: the best that could be asked.
func hideTwins(groups [][]*mount) {
	for _, group := range groups {
		shown := max(slices.IndexFunc(group, func(m *mount) bool { return m.problem == "" }), 0)
		for i, m := range group {
			m.hidden = i != shown
		}
	}
}
