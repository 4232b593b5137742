package kube

import admission "k8s.io/api/admissionregistration/v1"

// Bindings that put policies that judge objects in force.
var validatingAdmissionPolicyBindings = resource{
	name: "validatingadmissionpolicybindings", version: admission.SchemeGroupVersion, kind: "ValidatingAdmissionPolicyBinding", on: true,
	labels: []string{"namespace", "validatingadmissionpolicybinding"}, identify: admissionIdentity,
	families: []family{
		gauge("kube_validatingadmissionpolicybinding_info", "A policy that is in force and its parameters; always 1.",
			func(l *Lines, b *admission.ValidatingAdmissionPolicyBinding) {
				bindingInfo(l, b.Spec.PolicyName, b.Spec.ParamRef)
			}, "policy_name", "param_name", "param_namespace", "param_not_found_action"),
		created("kube_validatingadmissionpolicybinding_created", "When the binding was made, in seconds since the epoch."),
		gauge("kube_validatingadmissionpolicybinding_validation_action", "What is done with objects that the policy finds bad; always 1.",
			func(l *Lines, b *admission.ValidatingAdmissionPolicyBinding) {
				for _, action := range b.Spec.ValidationActions {
					l.Add(1, string(action))
				}
			}, "action"),
	},
}
