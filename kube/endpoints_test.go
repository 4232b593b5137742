package kube

import "testing"

func TestEndpoints(t *testing.T) {
	checkRendered(t, &endpoints, Options{}, object(t, &endpoints, `{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "subsets": [
		{"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
		{"addresses": [{"ip": "10.0.0.3"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
		{"addresses": [{"ip": "10.0.0.4"}]}]}`), `
		kube_endpoint_info{namespace="a",endpoint="o"} 1
		kube_endpoint_created{namespace="a",endpoint="o"} 1767225600
		kube_endpoint_address{namespace="a",endpoint="o",port_protocol="TCP",port_number="80",port_name="http",ip="10.0.0.1",ready="true"} 1
		kube_endpoint_address{namespace="a",endpoint="o",port_protocol="TCP",port_number="80",port_name="http",ip="10.0.0.2",ready="false"} 1
		kube_endpoint_address{namespace="a",endpoint="o",port_protocol="UDP",port_number="53",port_name="",ip="10.0.0.1",ready="true"} 1
		kube_endpoint_address{namespace="a",endpoint="o",port_protocol="UDP",port_number="53",port_name="",ip="10.0.0.2",ready="false"} 1
		kube_endpoint_address{namespace="a",endpoint="o",port_protocol="TCP",port_number="80",port_name="http",ip="10.0.0.3",ready="true"} 1
		kube_endpoint_ports{namespace="a",endpoint="o",port_name="http",port_protocol="TCP",port_number="80"} 1
		kube_endpoint_ports{namespace="a",endpoint="o",port_name="",port_protocol="UDP",port_number="53"} 1
	`)
}
