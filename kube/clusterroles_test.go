package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestClusterRoles(t *testing.T) {
	r := &v1.PartialObjectMetadata{ObjectMeta: v1.ObjectMeta{Name: "system:basic-user", CreationTimestamp: v1.Unix(-1, 500000000), ResourceVersion: "18446744073709551616"}}
	checkRendered(t, &clusterRoles, Options{Labels: map[string][]string{"clusterroles": {"*"}}}, r, `
		kube_clusterrole_labels{clusterrole="system:basic-user"} 1
		kube_clusterrole_info{clusterrole="system:basic-user"} 1
		kube_clusterrole_created{clusterrole="system:basic-user"} -1
		kube_clusterrole_metadata_resource_version{clusterrole="system:basic-user"} 1.8446744073709552e+19
	`)
}
