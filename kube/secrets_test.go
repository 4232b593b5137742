package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSecrets(t *testing.T) {
	s := &row{columns: map[string]string{"Type": "example.com/\"odd\"", "Data": "3"}, ObjectMeta: v1.ObjectMeta{Namespace: "a", Name: "o", ResourceVersion: "7",
		CreationTimestamp: v1.Unix(1767225600, 0), Labels: map[string]string{"x": "y"}, OwnerReferences: []v1.OwnerReference{{Kind: "Certificate", Name: "c"}}}}
	checkRendered(t, &secrets, Options{Labels: map[string][]string{"secrets": {"x"}}}, s, `
		kube_secret_info{namespace="a",secret="o"} 1
		kube_secret_type{namespace="a",secret="o",type="example.com/\"odd\""} 1
		kube_secret_labels{namespace="a",secret="o",label_x="y"} 1
		kube_secret_created{namespace="a",secret="o"} 1767225600
		kube_secret_metadata_resource_version{namespace="a",secret="o"} 7
		kube_secret_owner{namespace="a",secret="o",owner_kind="Certificate",owner_name="c",owner_is_controller="false"} 1
	`)
	checkRendered(t, &secrets, Options{}, &row{ObjectMeta: v1.ObjectMeta{ResourceVersion: "x1"}}, `
		kube_secret_info{namespace="",secret=""} 1
		kube_secret_type{namespace="",secret="",type=""} 1
		kube_secret_owner{namespace="",secret="",owner_kind="",owner_name="",owner_is_controller=""} 1
	`)
}
