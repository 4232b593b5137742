package kube

import (
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestClusterRoleBindings(t *testing.T) {
	b := &rbac.ClusterRoleBinding{
		ObjectMeta: v1.ObjectMeta{Name: "system:node", CreationTimestamp: v1.Unix(1500000000, 0), ResourceVersion: "12", Annotations: map[string]string{"a": "b\nc"}},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: `a\b`},
	}
	checkRendered(t, &clusterRoleBindings, Options{Annotations: map[string][]string{"clusterrolebindings": {"a"}}}, b, `
		kube_clusterrolebinding_annotations{clusterrolebinding="system:node",annotation_a="b\nc"} 1
		kube_clusterrolebinding_info{clusterrolebinding="system:node",roleref_kind="ClusterRole",roleref_name="a\\b"} 1
		kube_clusterrolebinding_created{clusterrolebinding="system:node"} 1500000000
		kube_clusterrolebinding_metadata_resource_version{clusterrolebinding="system:node"} 12
	`)
}
