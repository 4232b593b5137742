package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestValidatingAdmissionPolicyBindings(t *testing.T) {
	b := &admission.ValidatingAdmissionPolicyBinding{
		ObjectMeta: v1.ObjectMeta{Name: "cap-shop", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec: admission.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "cap.example", ValidationActions: []admission.ValidationAction{"Deny", "Audit", "Deny"}, ParamRef: &admission.ParamRef{Name: "cap"},
		},
	}
	checkRendered(t, &validatingAdmissionPolicyBindings, Options{}, b, `
		kube_validatingadmissionpolicybinding_info{namespace="",validatingadmissionpolicybinding="cap-shop",policy_name="cap.example",param_name="cap",param_namespace="",param_not_found_action=""} 1
		kube_validatingadmissionpolicybinding_created{namespace="",validatingadmissionpolicybinding="cap-shop"} 1500000000
		kube_validatingadmissionpolicybinding_validation_action{namespace="",validatingadmissionpolicybinding="cap-shop",action="Deny"} 1
		kube_validatingadmissionpolicybinding_validation_action{namespace="",validatingadmissionpolicybinding="cap-shop",action="Audit"} 1
	`)
}
