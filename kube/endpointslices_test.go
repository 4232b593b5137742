package kube

import (
	"bytes"
	"fmt"
	"testing"

	"k8s.io/api/discovery/v1"
)

func TestEndpointSlices(t *testing.T) {
	checkRendered(t, &endpointSlices, Options{}, object(t, &endpointSlices, `{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "addressType": "IPv4",
		"endpoints": [
			{"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": {"ready": true, "serving": true, "terminating": false}, "hostname": "h", "nodeName": "n", "zone": "z",
				"targetRef": {"kind": "Pod", "name": "p", "namespace": "ns"}, "hints": {"forZones": [{"name": "z1"}, {"name": "z2"}]}},
			{"addresses": ["10.0.0.3"]}, {"addresses": ["10.0.0.3"]},
			{"addresses": [], "hints": {"forZones": [{"name": "z1"}]}}],
		"ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {}]}`), `
		kube_endpointslice_info{endpointslice="o",namespace="a",addresstype="IPv4"} 1
		kube_endpointslice_created{endpointslice="o",namespace="a"} 1767225600
		kube_endpointslice_endpoints_hints{endpointslice="o",namespace="a",address="10.0.0.1",for_zone="z1"} 1
		kube_endpointslice_endpoints_hints{endpointslice="o",namespace="a",address="10.0.0.1",for_zone="z2"} 1
		kube_endpointslice_endpoints{endpointslice="o",namespace="a",ready="true",serving="true",hostname="h",terminating="false",targetref_kind="Pod",targetref_name="p",targetref_namespace="ns",endpoint_nodename="n",endpoint_zone="z",address="10.0.0.1"} 1
		kube_endpointslice_endpoints{endpointslice="o",namespace="a",ready="true",serving="true",hostname="h",terminating="false",targetref_kind="Pod",targetref_name="p",targetref_namespace="ns",endpoint_nodename="n",endpoint_zone="z",address="10.0.0.2"} 1
		kube_endpointslice_endpoints{endpointslice="o",namespace="a",ready="",serving="",hostname="",terminating="",targetref_kind="",targetref_name="",targetref_namespace="",endpoint_nodename="",endpoint_zone="",address="10.0.0.3"} 1
		kube_endpointslice_ports{endpointslice="o",namespace="a",port_name="http",port_protocol="TCP",port_number="80"} 1
		kube_endpointslice_ports{endpointslice="o",namespace="a",port_name="",port_protocol="",port_number=""} 1
	`)
}

// BenchmarkRenderEndpointSlice renders a slice as full as the controller makes them:
// 100 endpoints.
func BenchmarkRenderEndpointSlice(b *testing.B) {
	s := object(b, &endpointSlices, `{"addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}`).(*v1.EndpointSlice)
	for i := range 100 {
		yes := true
		s.Endpoints = append(s.Endpoints, v1.Endpoint{Addresses: []string{fmt.Sprintf("10.244.1.%d", i)}, Conditions: v1.EndpointConditions{Ready: &yes}})
	}
	r := newRenderer(&endpointSlices, Options{})
	var out rendering
	r.render(s, &out)
	b.SetBytes(int64(len(out.text)))
	b.ReportAllocs()
	for b.Loop() {
		r.render(s, &out)
	}
	b.ReportMetric(float64(bytes.Count(out.text, []byte{'\n'})), "lines")
}
