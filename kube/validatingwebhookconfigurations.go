package kube

import admission "k8s.io/api/admissionregistration/v1"

// Webhooks that judge what is asked of the API server.
var validatingWebhookConfigurations = resource{
	name: "validatingwebhookconfigurations", version: admission.SchemeGroupVersion, kind: "ValidatingWebhookConfiguration", on: true,
	labels: []string{"namespace", "validatingwebhookconfiguration"}, identify: admissionIdentity,
	families: []family{
		info("kube_validatingwebhookconfiguration_info", "A list of webhooks that judge objects; always 1."),
		created("kube_validatingwebhookconfiguration_created", "When the list was made, in seconds since the epoch."),
		resourceVersion("kube_validatingwebhookconfiguration_metadata_resource_version", "Version of the list; it changes with every write."),
		gauge("kube_validatingwebhookconfiguration_webhook_clientconfig_service", "A webhook and the service that it is, with empty labels where it is a URL; always 1.",
			func(l *Lines, c *admission.ValidatingWebhookConfiguration) {
				for i := range c.Webhooks {
					webhookService(l, c.Webhooks[i].Name, c.Webhooks[i].ClientConfig)
				}
			}, "webhook_name", "service_name", "service_namespace"),
	},
}
