package kube

import (
	"testing"

	"k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIngresses(t *testing.T) {
	service := func(name string, port networking.ServiceBackendPort) networking.IngressBackend {
		return networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: name, Port: port}}
	}
	exact := ptr(networking.PathTypeExact)
	i := &networking.Ingress{
		ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "front", CreationTimestamp: meta.Unix(1500000000, 0), ResourceVersion: "244"},
		Spec: networking.IngressSpec{
			IngressClassName: ptr("public"),
			TLS: []networking.IngressTLS{
				{Hosts: []string{"a.example", "b.example"}, SecretName: "tls"}, {SecretName: "nobody"},
				{Hosts: []string{"a.example"}, SecretName: "tls"}, {Hosts: []string{"a.example"}, SecretName: "other"},
			},
			Rules: []networking.IngressRule{
				{Host: "a.example", IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{Paths: []networking.HTTPIngressPath{
					{Path: "/", PathType: exact, Backend: service("web", networking.ServiceBackendPort{Number: 80})},
					{Path: "/api", PathType: exact, Backend: service("api", networking.ServiceBackendPort{Name: "http"})},
					{Path: "/api", PathType: exact, Backend: service("api", networking.ServiceBackendPort{Name: "https"})}, // the same series
					{Path: `/"quoted"`, Backend: networking.IngressBackend{Resource: &v1.TypedLocalObjectReference{Kind: "Bucket", Name: "assets"}}},
					{Path: "/files", Backend: networking.IngressBackend{Resource: &v1.TypedLocalObjectReference{APIGroup: ptr("example.com"), Kind: "Bucket", Name: "files"}}},
					{Path: "/nowhere"},
				}}}},
				{Host: "no.http"},
			},
		},
	}
	checkRendered(t, &ingresses, Options{}, i, `
		kube_ingress_info{namespace="shop",ingress="front",ingressclass="public"} 1
		kube_ingress_created{namespace="shop",ingress="front"} 1500000000
		kube_ingress_metadata_resource_version{namespace="shop",ingress="front"} 244
		kube_ingress_path{namespace="shop",ingress="front",host="a.example",path="/",path_type="Exact",service_name="web",service_port="80"} 1
		kube_ingress_path{namespace="shop",ingress="front",host="a.example",path="/api",path_type="Exact",service_name="api",service_port="0"} 1
		kube_ingress_path{namespace="shop",ingress="front",host="a.example",path="/\"quoted\"",path_type="",resource_api_group="",resource_kind="Bucket",resource_name="assets"} 1
		kube_ingress_path{namespace="shop",ingress="front",host="a.example",path="/files",path_type="",resource_api_group="example.com",resource_kind="Bucket",resource_name="files"} 1
		kube_ingress_tls{namespace="shop",ingress="front",tls_host="a.example",secret="tls"} 1
		kube_ingress_tls{namespace="shop",ingress="front",tls_host="b.example",secret="tls"} 1
		kube_ingress_tls{namespace="shop",ingress="front",tls_host="a.example",secret="other"} 1
	`)
}

// TestIngressesClass: the annotation goes before the field, even if it is empty.
func TestIngressesClass(t *testing.T) {
	for name, tc := range map[string]struct {
		annotations map[string]string
		class       *string
		want        string
	}{
		"none":             {nil, nil, "_default"},
		"field":            {nil, ptr("public"), "public"},
		"annotation":       {map[string]string{"kubernetes.io/ingress.class": "old"}, nil, "old"},
		"both":             {map[string]string{"kubernetes.io/ingress.class": "old"}, ptr("public"), "old"},
		"empty annotation": {map[string]string{"kubernetes.io/ingress.class": ""}, ptr("public"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := &networking.Ingress{ObjectMeta: meta.ObjectMeta{Annotations: tc.annotations}, Spec: networking.IngressSpec{IngressClassName: tc.class}}
			checkRendered(t, &ingresses, Options{}, i, `kube_ingress_info{namespace="",ingress="",ingressclass="`+tc.want+"\"} 1\n", "kube_ingress_info")
		})
	}
}
