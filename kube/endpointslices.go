package kube

import (
	"strconv"

	"k8s.io/api/discovery/v1"
)

// Endpoint slices: what is behind a service, in parts.
var endpointSlices = resource{
	name: "endpointslices", version: v1.SchemeGroupVersion, kind: "EndpointSlice", namespaced: true, on: true,
	labels: []string{"endpointslice", "namespace"},
	families: []family{
		gauge("kube_endpointslice_info", "The kind of addresses in the slice; always 1.",
			func(l *Lines, s *v1.EndpointSlice) { l.Add(1, string(s.AddressType)) }, "addresstype"),
		created("kube_endpointslice_created", "When the slice was made, in seconds since the epoch."),
		gauge("kube_endpointslice_endpoints_hints", "A zone from which the endpoint, told by its first address, should be used; always 1.", sliceHints,
			"address", "for_zone"),
		gauge("kube_endpointslice_endpoints", "An address of an endpoint, and what state it is in; always 1.", sliceEndpoints,
			"ready", "serving", "hostname", "terminating", "targetref_kind", "targetref_name", "targetref_namespace", "endpoint_nodename", "endpoint_zone", "address"),
		gauge("kube_endpointslice_ports", "A port of the slice's endpoints; always 1.", slicePorts, "port_name", "port_protocol", "port_number"),
		annotations("kube_endpointslice_annotations", "The slice's annotations that are allowed, as labels; always 1."),
		labels("kube_endpointslice_labels", "The slice's labels that are allowed, as labels; always 1."),
	},
}

func sliceHints(l *Lines, s *v1.EndpointSlice) {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.Hints == nil || len(e.Addresses) == 0 {
			continue
		}
		for _, z := range e.Hints.ForZones {
			l.Add(1, e.Addresses[0], z.Name)
		}
	}
}

func sliceEndpoints(l *Lines, s *v1.EndpointSlice) {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		var kind, name, namespace string
		if e.TargetRef != nil {
			kind, name, namespace = e.TargetRef.Kind, e.TargetRef.Name, e.TargetRef.Namespace
		}
		for _, a := range e.Addresses {
			l.Add(1, boolWord(e.Conditions.Ready), boolWord(e.Conditions.Serving), word(e.Hostname), boolWord(e.Conditions.Terminating),
				kind, name, namespace, word(e.NodeName), word(e.Zone), a)
		}
	}
}

// slicePorts tells of each port what is known of it: no field of it need be there.
func slicePorts(l *Lines, s *v1.EndpointSlice) {
	for i := range s.Ports {
		p, number := &s.Ports[i], ""
		if p.Port != nil {
			number = l.Digits(int64(*p.Port))
		}
		l.Add(1, word(p.Name), word(p.Protocol), number)
	}
}

// boolWord is *b as a label value, empty where b is nil.
func boolWord(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}
