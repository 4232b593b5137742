package kube

import admission "k8s.io/api/admissionregistration/v1"

// Policies that judge what is asked of the API server.
var validatingAdmissionPolicies = resource{
	name: "validatingadmissionpolicies", version: admission.SchemeGroupVersion, kind: "ValidatingAdmissionPolicy", on: true,
	labels: []string{"namespace", "validatingadmissionpolicy"}, identify: admissionIdentity,
	families: []family{
		gauge("kube_validatingadmissionpolicy_info", "A policy that judges objects, its parameters and what happens when it fails; always 1.",
			func(l *Lines, p *admission.ValidatingAdmissionPolicy) {
				version, kind := paramKind(p.Spec.ParamKind)
				l.Add(1, version, kind, word(p.Spec.FailurePolicy))
			}, "param_api_version", "param_kind", "failure_policy"),
		created("kube_validatingadmissionpolicy_created", "When the policy was made, in seconds since the epoch."),
	},
}
