package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMutatingAdmissionPolicyBindings(t *testing.T) {
	b := &admission.MutatingAdmissionPolicyBinding{
		ObjectMeta: v1.ObjectMeta{Name: "owner-web", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec: admission.MutatingAdmissionPolicyBindingSpec{PolicyName: "owner.example", ParamRef: &admission.ParamRef{
			Name: "defaults", Namespace: "shop", ParameterNotFoundAction: ptr(admission.AllowAction),
		}},
	}
	checkRendered(t, &mutatingAdmissionPolicyBindings, Options{}, b, `
		kube_mutatingadmissionpolicybinding_info{namespace="",mutatingadmissionpolicybinding="owner-web",policy_name="owner.example",param_name="defaults",param_namespace="shop",param_not_found_action="Allow"} 1
		kube_mutatingadmissionpolicybinding_created{namespace="",mutatingadmissionpolicybinding="owner-web"} 1500000000
	`)
	b.Spec.ParamRef = nil
	checkRendered(t, &mutatingAdmissionPolicyBindings, Options{}, b, `
		kube_mutatingadmissionpolicybinding_info{namespace="",mutatingadmissionpolicybinding="owner-web",policy_name="owner.example",param_name="",param_namespace="",param_not_found_action=""} 1
	`, "kube_mutatingadmissionpolicybinding_info")
}
