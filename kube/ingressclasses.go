package kube

import networking "k8s.io/api/networking/v1"

// Classes of ingresses.
var ingressClasses = resource{
	name: "ingressclasses", version: networking.SchemeGroupVersion, kind: "IngressClass",
	labels: []string{"ingressclass"},
	families: []family{
		gauge("kube_ingressclass_info", "A class of ingresses and the controller that serves it; always 1.",
			func(l *Lines, c *networking.IngressClass) { l.Add(1, c.Spec.Controller) }, "controller"),
		created("kube_ingressclass_created", "When the class was made, in seconds since the epoch."),
		annotations("kube_ingressclass_annotations", "The class's annotations that are allowed, as labels; always 1."),
		labels("kube_ingressclass_labels", "The class's labels that are allowed, as labels; always 1."),
	},
}
