package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestValidatingWebhookConfigurations(t *testing.T) {
	c := &admission.ValidatingWebhookConfiguration{
		ObjectMeta: v1.ObjectMeta{Name: "images", CreationTimestamp: v1.Unix(1500000000, 0), ResourceVersion: "323"},
		Webhooks: []admission.ValidatingWebhook{
			{Name: "in.example", ClientConfig: admission.WebhookClientConfig{Service: &admission.ServiceReference{Namespace: "platform", Name: "images"}}},
			{Name: "out.example"},
		},
	}
	checkRendered(t, &validatingWebhookConfigurations, Options{}, c, `
		kube_validatingwebhookconfiguration_info{namespace="",validatingwebhookconfiguration="images"} 1
		kube_validatingwebhookconfiguration_created{namespace="",validatingwebhookconfiguration="images"} 1500000000
		kube_validatingwebhookconfiguration_metadata_resource_version{namespace="",validatingwebhookconfiguration="images"} 323
		kube_validatingwebhookconfiguration_webhook_clientconfig_service{namespace="",validatingwebhookconfiguration="images",webhook_name="in.example",service_name="images",service_namespace="platform"} 1
		kube_validatingwebhookconfiguration_webhook_clientconfig_service{namespace="",validatingwebhookconfiguration="images",webhook_name="out.example",service_name="",service_namespace=""} 1
	`)
}
