package kube

import (
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRoleBindings(t *testing.T) {
	b := &rbac.RoleBinding{
		ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "readers", ResourceVersion: "not a number", Labels: map[string]string{"app": "web"}},
		RoleRef:    rbac.RoleRef{Kind: "Role", Name: "reader"},
	}
	checkRendered(t, &roleBindings, Options{Labels: map[string][]string{"rolebindings": {"*"}}}, b, `
		kube_rolebinding_labels{namespace="shop",rolebinding="readers",label_app="web"} 1
		kube_rolebinding_info{namespace="shop",rolebinding="readers",roleref_kind="Role",roleref_name="reader"} 1
	`)
}
