package kube

import (
	"testing"

	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIngressClasses(t *testing.T) {
	c := &networking.IngressClass{
		ObjectMeta: v1.ObjectMeta{Name: "public", CreationTimestamp: v1.Unix(1500000000, 0), Annotations: map[string]string{"note": "faces the internet"}},
		Spec:       networking.IngressClassSpec{Controller: "example.com/gate"},
	}
	checkRendered(t, &ingressClasses, Options{Annotations: map[string][]string{"*": {"note"}}}, c, `
		kube_ingressclass_info{ingressclass="public",controller="example.com/gate"} 1
		kube_ingressclass_created{ingressclass="public"} 1500000000
		kube_ingressclass_annotations{ingressclass="public",annotation_note="faces the internet"} 1
	`)
}
