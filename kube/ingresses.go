package kube

import networking "k8s.io/api/networking/v1"

// Ingresses: which requests from outside go to which service.
var ingresses = resource{
	name: "ingresses", version: networking.SchemeGroupVersion, kind: "Ingress", namespaced: true, on: true,
	labels: []string{"namespace", "ingress"},
	families: []family{
		gauge("kube_ingress_info", "An ingress and its class; always 1.", ingressInfo, "ingressclass"),
		annotations("kube_ingress_annotations", "The ingress's annotations that are allowed, as labels; always 1."),
		labels("kube_ingress_labels", "The ingress's labels that are allowed, as labels; always 1."),
		created("kube_ingress_created", "When the ingress was made, in seconds since the epoch."),
		resourceVersion("kube_ingress_metadata_resource_version", "Version of the ingress; it changes with every write."),
		gauge("kube_ingress_path", "A path of the ingress and where it leads: to a port of a service (0 if the port has a name) or to another resource; always 1.", ingressPaths,
			"host", "path", "path_type", "service_name", "service_port", "resource_api_group", "resource_kind", "resource_name"),
		gauge("kube_ingress_tls", "A host of the ingress and the secret with its certificate; always 1.", ingressTLS, "tls_host", "secret"),
	},
}

// ingressClassAnnotation names the class in ingresses older than the field for it,
// and goes before that.
const ingressClassAnnotation = "kubernetes.io/ingress.class"

func ingressInfo(l *Lines, i *networking.Ingress) {
	class, annotated := i.Annotations[ingressClassAnnotation]
	switch {
	case annotated:
	case i.Spec.IngressClassName != nil:
		class = *i.Spec.IngressClassName
	default:
		class = "_default"
	}
	l.Add(1, class)
}

func ingressPaths(l *Lines, i *networking.Ingress) {
	for _, rule := range i.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			host, path, kind := pair{"host", rule.Host}, pair{"path", p.Path}, pair{"path_type", word(p.PathType)}
			if s := p.Backend.Service; s != nil {
				l.AddOnly(1, host, path, kind, pair{"service_name", s.Name}, pair{"service_port", l.Digits(int64(s.Port.Number))})
			} else if r := p.Backend.Resource; r != nil {
				l.AddOnly(1, host, path, kind, pair{"resource_api_group", word(r.APIGroup)}, pair{"resource_kind", r.Kind}, pair{"resource_name", r.Name})
			}
		}
	}
}

func ingressTLS(l *Lines, i *networking.Ingress) {
	for _, t := range i.Spec.TLS {
		for _, host := range t.Hosts {
			l.Add(1, host, t.SecretName)
		}
	}
}
