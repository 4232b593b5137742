package kube

import "testing"

func TestServices(t *testing.T) {
	checkRendered(t, &services, Options{}, object(t, &services, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z"},
		"spec": {"type": "LoadBalancer", "clusterIP": "None", "externalName": "x.example", "loadBalancerIP": "203.0.113.1", "externalTrafficPolicy": "Local", "externalIPs": ["198.51.100.7", "198.51.100.7"]},
		"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"hostname": "lb.example"}, {"ip": "203.0.113.1", "ipMode": "VIP"}]}}}`), `
		kube_service_info{namespace="a",service="o",uid="u",cluster_ip="None",external_name="x.example",load_balancer_ip="203.0.113.1",external_traffic_policy="Local"} 1
		kube_service_created{namespace="a",service="o",uid="u"} 1767225600
		kube_service_spec_type{namespace="a",service="o",uid="u",type="LoadBalancer"} 1
		kube_service_spec_external_ip{namespace="a",service="o",uid="u",external_ip="198.51.100.7"} 1
		kube_service_status_load_balancer_ingress{namespace="a",service="o",uid="u",ip="203.0.113.1",hostname=""} 1
		kube_service_status_load_balancer_ingress{namespace="a",service="o",uid="u",ip="",hostname="lb.example"} 1
		kube_service_deletion_timestamp{namespace="a",service="o",uid="u"} 1767225601
	`)
}
