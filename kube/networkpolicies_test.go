package kube

import (
	"testing"

	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNetworkPolicies(t *testing.T) {
	p := &networking.NetworkPolicy{
		ObjectMeta: v1.ObjectMeta{Namespace: "payments", Name: "checkout", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec:       networking.NetworkPolicySpec{Ingress: make([]networking.NetworkPolicyIngressRule, 2), Egress: make([]networking.NetworkPolicyEgressRule, 1)},
	}
	checkRendered(t, &networkPolicies, Options{Labels: map[string][]string{"*": {"*"}}}, p, `
		kube_networkpolicy_created{namespace="payments",networkpolicy="checkout"} 1500000000
		kube_networkpolicy_labels{namespace="payments",networkpolicy="checkout"} 1
		kube_networkpolicy_spec_ingress_rules{namespace="payments",networkpolicy="checkout"} 2
		kube_networkpolicy_spec_egress_rules{namespace="payments",networkpolicy="checkout"} 1
	`)
}
