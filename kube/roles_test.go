package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRoles(t *testing.T) {
	r := &v1.PartialObjectMetadata{ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "reader", CreationTimestamp: v1.Unix(1500000000, 0), ResourceVersion: "7"}}
	checkRendered(t, &roles, Options{Annotations: map[string][]string{"roles": {"*"}}}, r, `
		kube_role_annotations{namespace="shop",role="reader"} 1
		kube_role_info{namespace="shop",role="reader"} 1
		kube_role_created{namespace="shop",role="reader"} 1500000000
		kube_role_metadata_resource_version{namespace="shop",role="reader"} 7
	`)
}
