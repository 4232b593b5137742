package kube

import admission "k8s.io/api/admissionregistration/v1"

// Bindings that put policies that change objects in force.
var mutatingAdmissionPolicyBindings = resource{
	name: "mutatingadmissionpolicybindings", version: admission.SchemeGroupVersion, kind: "MutatingAdmissionPolicyBinding", on: true,
	labels: []string{"namespace", "mutatingadmissionpolicybinding"}, identify: admissionIdentity,
	families: []family{
		gauge("kube_mutatingadmissionpolicybinding_info", "A policy that is in force and its parameters; always 1.",
			func(l *Lines, b *admission.MutatingAdmissionPolicyBinding) {
				bindingInfo(l, b.Spec.PolicyName, b.Spec.ParamRef)
			}, "policy_name", "param_name", "param_namespace", "param_not_found_action"),
		created("kube_mutatingadmissionpolicybinding_created", "When the binding was made, in seconds since the epoch."),
	},
}
