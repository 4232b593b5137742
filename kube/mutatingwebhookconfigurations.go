package kube

import admission "k8s.io/api/admissionregistration/v1"

// Webhooks that change what is asked of the API server.
var mutatingWebhookConfigurations = resource{
	name: "mutatingwebhookconfigurations", version: admission.SchemeGroupVersion, kind: "MutatingWebhookConfiguration", on: true,
	labels: []string{"namespace", "mutatingwebhookconfiguration"}, identify: admissionIdentity,
	families: []family{
		info("kube_mutatingwebhookconfiguration_info", "A list of webhooks that change objects; always 1."),
		created("kube_mutatingwebhookconfiguration_created", "When the list was made, in seconds since the epoch."),
		resourceVersion("kube_mutatingwebhookconfiguration_metadata_resource_version", "Version of the list; it changes with every write."),
		gauge("kube_mutatingwebhookconfiguration_webhook_clientconfig_service", "A webhook and the service that it is, with empty labels where it is a URL; always 1.",
			func(l *Lines, c *admission.MutatingWebhookConfiguration) {
				for i := range c.Webhooks {
					webhookService(l, c.Webhooks[i].Name, c.Webhooks[i].ClientConfig)
				}
			}, "webhook_name", "service_name", "service_namespace"),
	},
}
