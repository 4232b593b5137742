package kube

import (
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestValidatingAdmissionPolicies(t *testing.T) {
	p := &admission.ValidatingAdmissionPolicy{
		ObjectMeta: v1.ObjectMeta{Name: "cap.example", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec:       admission.ValidatingAdmissionPolicySpec{ParamKind: &admission.ParamKind{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}, FailurePolicy: ptr(admission.Fail)},
	}
	checkRendered(t, &validatingAdmissionPolicies, Options{}, p, `
		kube_validatingadmissionpolicy_info{namespace="",validatingadmissionpolicy="cap.example",param_api_version="coordination.k8s.io/v1",param_kind="Lease",failure_policy="Fail"} 1
		kube_validatingadmissionpolicy_created{namespace="",validatingadmissionpolicy="cap.example"} 1500000000
	`)
	checkRendered(t, &validatingAdmissionPolicies, Options{}, &admission.ValidatingAdmissionPolicy{ObjectMeta: v1.ObjectMeta{Name: "bare"}}, `
		kube_validatingadmissionpolicy_info{namespace="",validatingadmissionpolicy="bare",param_api_version="",param_kind="",failure_policy=""} 1
	`)
}
