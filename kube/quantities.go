package kube

import (
	"slices"
	"strings"

	"k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Amounts of resources, as containers ask for them and nodes have them.

// ofResource is how an amount of a resource is told: the resource's name as a
// label value, and the unit. A resource that is not told has no unit.
//
// These are kube-state-metrics' rules (its internal/store/pod.go and node.go):
// what Kubernetes itself does not know is told where it has a vendor's prefix, as
// nvidia.com/gpu. The unit of attachable volumes, which are counted, is byte there.
func ofResource(name v1.ResourceName) (label, unit string) {
	switch name {
	case v1.ResourceCPU:
		return "cpu", "core"
	case v1.ResourceMemory:
		return "memory", "byte"
	case v1.ResourceEphemeralStorage:
		return "ephemeral_storage", "byte"
	case v1.ResourceStorage:
		return "storage", "byte"
	}
	switch n := string(name); {
	case strings.HasPrefix(n, v1.ResourceHugePagesPrefix), strings.HasPrefix(n, v1.ResourceAttachableVolumesPrefix):
		return resourceLabel(n), "byte"
	case strings.Contains(n, "/") && !strings.Contains(n, v1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(n, v1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(v1.DefaultResourceRequestsPrefix+n)) == 0:
		return resourceLabel(n), "integer"
	}
	return "", ""
}

// resourceLabel is the name of a resource with underscores for all but ASCII
// letters and digits.
func resourceLabel(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			b[i] = '_'
		}
	}
	return string(b)
}

// resourceNames are the names of a list's resources, in order: the text of an object
// that is the same must be the same, and maps have no order. They are appended to
// buf, which is an array of the caller's that is large enough for most.
func resourceNames(list v1.ResourceList, buf []v1.ResourceName) []v1.ResourceName {
	for name := range list {
		buf = append(buf, name)
	}
	slices.Sort(buf)
	return buf
}
