package kube

import admission "k8s.io/api/admissionregistration/v1"

// Policies that change what is asked of the API server.
var mutatingAdmissionPolicies = resource{
	name: "mutatingadmissionpolicies", version: admission.SchemeGroupVersion, kind: "MutatingAdmissionPolicy", on: true,
	labels: []string{"namespace", "mutatingadmissionpolicy"}, identify: admissionIdentity,
	families: []family{
		gauge("kube_mutatingadmissionpolicy_info", "A policy that changes objects, its parameters and what happens when it fails; always 1.",
			func(l *Lines, p *admission.MutatingAdmissionPolicy) {
				version, kind := paramKind(p.Spec.ParamKind)
				l.Add(1, version, kind, word(p.Spec.FailurePolicy), string(p.Spec.ReinvocationPolicy))
			}, "param_api_version", "param_kind", "failure_policy", "reinvocation_policy"),
		created("kube_mutatingadmissionpolicy_created", "When the policy was made, in seconds since the epoch."),
	},
}
