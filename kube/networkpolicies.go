package kube

import networking "k8s.io/api/networking/v1"

// Network policies.
var networkPolicies = resource{
	name: "networkpolicies", version: networking.SchemeGroupVersion, kind: "NetworkPolicy", namespaced: true, on: true,
	labels: []string{"namespace", "networkpolicy"},
	families: []family{
		created("kube_networkpolicy_created", "When the network policy was made, in seconds since the epoch."),
		annotations("kube_networkpolicy_annotations", "The network policy's annotations that are allowed, as labels; always 1."),
		labels("kube_networkpolicy_labels", "The network policy's labels that are allowed, as labels; always 1."),
		gauge("kube_networkpolicy_spec_ingress_rules", "Rules of the network policy about what may come in.",
			func(l *Lines, p *networking.NetworkPolicy) { l.Add(float64(len(p.Spec.Ingress))) }),
		gauge("kube_networkpolicy_spec_egress_rules", "Rules of the network policy about what may go out.",
			func(l *Lines, p *networking.NetworkPolicy) { l.Add(float64(len(p.Spec.Egress))) }),
	},
}
