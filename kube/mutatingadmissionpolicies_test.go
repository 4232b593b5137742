package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMutatingAdmissionPolicies(t *testing.T) {
	p := &admission.MutatingAdmissionPolicy{
		ObjectMeta: v1.ObjectMeta{Name: "owner.example", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec: admission.MutatingAdmissionPolicySpec{
			ParamKind: &admission.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}, FailurePolicy: ptr(admission.Ignore), ReinvocationPolicy: admission.IfNeededReinvocationPolicy,
		},
	}
	checkRendered(t, &mutatingAdmissionPolicies, Options{}, p, `
		kube_mutatingadmissionpolicy_info{namespace="",mutatingadmissionpolicy="owner.example",param_api_version="v1",param_kind="ConfigMap",failure_policy="Ignore",reinvocation_policy="IfNeeded"} 1
		kube_mutatingadmissionpolicy_created{namespace="",mutatingadmissionpolicy="owner.example"} 1500000000
	`)
	checkRendered(t, &mutatingAdmissionPolicies, Options{}, &admission.MutatingAdmissionPolicy{ObjectMeta: v1.ObjectMeta{Name: "bare"}}, `
		kube_mutatingadmissionpolicy_info{namespace="",mutatingadmissionpolicy="bare",param_api_version="",param_kind="",failure_policy="",reinvocation_policy=""} 1
	`)
}
