package kube

import (
	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the policies and webhooks of admission have in common.

// admissionIdentity are the values of the labels that tell them apart. None of
// them is in a namespace; their label of that name is always empty.
func admissionIdentity(o v1.Object) []string { return []string{"", o.GetName()} }

// paramKind is what parameters of a policy are: version of the API and kind.
func paramKind(k *admission.ParamKind) (version, kind string) {
	if k == nil {
		return "", ""
	}
	return k.APIVersion, k.Kind
}

// bindingInfo writes which policy is bound, with what parameters, and what happens
// where these are missing.
func bindingInfo(l *Lines, policy string, param *admission.ParamRef) {
	if param == nil {
		param = &admission.ParamRef{}
	}
	l.Add(1, policy, param.Name, param.Namespace, word(param.ParameterNotFoundAction))
}

// webhookService writes which service a webhook is, nothing where it is a URL.
func webhookService(l *Lines, webhook string, c admission.WebhookClientConfig) {
	service := c.Service
	if service == nil {
		service = &admission.ServiceReference{}
	}
	l.Add(1, webhook, service.Name, service.Namespace)
}
