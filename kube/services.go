package kube

import "k8s.io/api/core/v1"

// Services.
var services = resource{
	name: "services", version: v1.SchemeGroupVersion, kind: "Service", namespaced: true, on: true,
	labels: []string{"namespace", "service", "uid"},
	families: []family{
		gauge("kube_service_info", "Where the service is reached; always 1.", serviceInfo,
			"cluster_ip", "external_name", "load_balancer_ip", "external_traffic_policy"),
		created("kube_service_created", "When the service was made, in seconds since the epoch."),
		gauge("kube_service_spec_type", "The kind of service; always 1.", func(l *Lines, s *v1.Service) { l.Add(1, string(s.Spec.Type)) }, "type"),
		annotations("kube_service_annotations", "The service's annotations that are allowed, as labels; always 1."),
		labels("kube_service_labels", "The service's labels that are allowed, as labels; always 1."),
		gauge("kube_service_spec_external_ip", "An address outside the cluster that leads to the service; always 1.", serviceExternalIPs, "external_ip"),
		gauge("kube_service_status_load_balancer_ingress", "Where a load balancer takes in what is for the service; always 1.", serviceIngress, "ip", "hostname"),
		deleted("kube_service_deletion_timestamp", "When the service that is being deleted is to be gone, in seconds since the epoch."),
	},
}

func serviceInfo(l *Lines, s *v1.Service) {
	l.Add(1, s.Spec.ClusterIP, s.Spec.ExternalName, s.Spec.LoadBalancerIP, string(s.Spec.ExternalTrafficPolicy))
}

func serviceExternalIPs(l *Lines, s *v1.Service) {
	for _, ip := range s.Spec.ExternalIPs {
		l.Add(1, ip)
	}
}

func serviceIngress(l *Lines, s *v1.Service) {
	for i := range s.Status.LoadBalancer.Ingress {
		in := &s.Status.LoadBalancer.Ingress[i]
		l.Add(1, in.IP, in.Hostname)
	}
}
