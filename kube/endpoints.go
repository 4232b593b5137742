package kube

import "k8s.io/api/core/v1"

//lint:file-ignore SA1019 The API is deprecated and still served: clusters that have endpoints want them told.

// Endpoints, which endpoint slices have taken the place of.
var endpoints = resource{
	name: "endpoints", version: v1.SchemeGroupVersion, kind: "Endpoints", namespaced: true,
	labels: []string{"namespace", "endpoint"},
	families: []family{
		info("kube_endpoint_info", "The endpoints of a service; always 1."),
		created("kube_endpoint_created", "When the endpoints were made, in seconds since the epoch."),
		annotations("kube_endpoint_annotations", "The endpoints' annotations that are allowed, as labels; always 1."),
		labels("kube_endpoint_labels", "The endpoints' labels that are allowed, as labels; always 1."),
		gauge("kube_endpoint_address", "An address and port behind the service, and whether it is ready; always 1.", endpointAddresses,
			"port_protocol", "port_number", "port_name", "ip", "ready"),
		gauge("kube_endpoint_ports", "A port behind the service; always 1.", endpointPorts, "port_name", "port_protocol", "port_number"),
	},
}

func endpointAddresses(l *Lines, e *v1.Endpoints) {
	for i := range e.Subsets {
		s := &e.Subsets[i]
		for j := range s.Ports {
			p := &s.Ports[j]
			number := l.Digits(int64(p.Port))
			for k := range s.Addresses {
				l.Add(1, string(p.Protocol), number, p.Name, s.Addresses[k].IP, "true")
			}
			for k := range s.NotReadyAddresses {
				l.Add(1, string(p.Protocol), number, p.Name, s.NotReadyAddresses[k].IP, "false")
			}
		}
	}
}

func endpointPorts(l *Lines, e *v1.Endpoints) {
	for i := range e.Subsets {
		for j := range e.Subsets[i].Ports {
			p := &e.Subsets[i].Ports[j]
			l.Add(1, p.Name, string(p.Protocol), l.Digits(int64(p.Port)))
		}
	}
}
