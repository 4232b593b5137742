package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMutatingWebhookConfigurations(t *testing.T) {
	c := &admission.MutatingWebhookConfiguration{
		ObjectMeta: v1.ObjectMeta{Name: "injector", CreationTimestamp: v1.Unix(1500000000, 0), ResourceVersion: "260"},
		Webhooks: []admission.MutatingWebhook{
			{Name: "in.example", ClientConfig: admission.WebhookClientConfig{Service: &admission.ServiceReference{Namespace: "platform", Name: "injector"}}},
			{Name: "out.example", ClientConfig: admission.WebhookClientConfig{URL: ptr("https://out.example")}},
		},
	}
	checkRendered(t, &mutatingWebhookConfigurations, Options{}, c, `
		kube_mutatingwebhookconfiguration_info{namespace="",mutatingwebhookconfiguration="injector"} 1
		kube_mutatingwebhookconfiguration_created{namespace="",mutatingwebhookconfiguration="injector"} 1500000000
		kube_mutatingwebhookconfiguration_metadata_resource_version{namespace="",mutatingwebhookconfiguration="injector"} 260
		kube_mutatingwebhookconfiguration_webhook_clientconfig_service{namespace="",mutatingwebhookconfiguration="injector",webhook_name="in.example",service_name="injector",service_namespace="platform"} 1
		kube_mutatingwebhookconfiguration_webhook_clientconfig_service{namespace="",mutatingwebhookconfiguration="injector",webhook_name="out.example",service_name="",service_namespace=""} 1
	`)
}
