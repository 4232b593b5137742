package kube

import (
	"testing"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestDeployments(t *testing.T) {
	unavailable, surge := intstr.FromString("25%"), intstr.FromString("25%")
	d := &apps.Deployment{
		ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 3, Labels: map[string]string{"app": "web"}},
		Spec: apps.DeploymentSpec{
			Replicas: ptr(int32(7)), Paused: true,
			Strategy: apps.DeploymentStrategy{RollingUpdate: &apps.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge}},
		},
		Status: apps.DeploymentStatus{
			Replicas: 8, ReadyReplicas: 6, AvailableReplicas: 5, UnavailableReplicas: 2, UpdatedReplicas: 4, ObservedGeneration: 2, TerminatingReplicas: ptr(int32(0)),
		},
	}
	checkRendered(t, &deployments, Options{Labels: map[string][]string{"*": {"app"}}}, d, `
		kube_deployment_owner{namespace="shop",deployment="web",owner_kind="",owner_name=""} 1
		kube_deployment_status_replicas{namespace="shop",deployment="web"} 8
		kube_deployment_status_replicas_ready{namespace="shop",deployment="web"} 6
		kube_deployment_status_replicas_available{namespace="shop",deployment="web"} 5
		kube_deployment_status_replicas_unavailable{namespace="shop",deployment="web"} 2
		kube_deployment_status_replicas_updated{namespace="shop",deployment="web"} 4
		kube_deployment_status_terminating_replicas{namespace="shop",deployment="web"} 0
		kube_deployment_status_observed_generation{namespace="shop",deployment="web"} 2
		kube_deployment_spec_replicas{namespace="shop",deployment="web"} 7
		kube_deployment_spec_paused{namespace="shop",deployment="web"} 1
		kube_deployment_spec_strategy_rollingupdate_max_unavailable{namespace="shop",deployment="web"} 1
		kube_deployment_spec_strategy_rollingupdate_max_surge{namespace="shop",deployment="web"} 2
		kube_deployment_metadata_generation{namespace="shop",deployment="web"} 3
		kube_deployment_labels{namespace="shop",deployment="web",label_app="web"} 1
	`)
}

func TestDeploymentsOwners(t *testing.T) {
	d := &apps.Deployment{ObjectMeta: v1.ObjectMeta{Name: "web", OwnerReferences: []v1.OwnerReference{
		{Kind: "App", Name: "a", UID: "1"}, {Kind: "App", Name: "b"}, {Kind: "App", Name: "a", UID: "2"},
	}}}
	checkRendered(t, &deployments, Options{}, d, `
		kube_deployment_owner{namespace="",deployment="web",owner_kind="App",owner_name="a"} 1
		kube_deployment_owner{namespace="",deployment="web",owner_kind="App",owner_name="b"} 1
	`, "kube_deployment_owner")
}

func TestDeploymentsConditions(t *testing.T) {
	d := &apps.Deployment{Status: apps.DeploymentStatus{Conditions: []apps.DeploymentCondition{
		{Type: "Available", Status: "True", Reason: "MinimumReplicasAvailable"},
		{Type: "Available", Status: "False", Reason: "MinimumReplicasAvailable"}, // the second is not written
		{Type: "Odd", Status: "TRUE", Reason: "FailedCreate"},
		{Type: "Progressing", Status: "Unknown"},
	}}}
	checkRendered(t, &deployments, Options{}, d, `
		kube_deployment_status_condition{namespace="",deployment="",reason="MinimumReplicasAvailable",condition="Available",status="true"} 1
		kube_deployment_status_condition{namespace="",deployment="",reason="MinimumReplicasAvailable",condition="Available",status="false"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="MinimumReplicasAvailable",condition="Available",status="unknown"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="unknown",condition="Odd",status="true"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="unknown",condition="Odd",status="false"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="unknown",condition="Odd",status="unknown"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="",condition="Progressing",status="true"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="",condition="Progressing",status="false"} 0
		kube_deployment_status_condition{namespace="",deployment="",reason="",condition="Progressing",status="unknown"} 1
	`, "kube_deployment_status_condition")
	d.Status.Conditions = d.Status.Conditions[2:]
	checkRendered(t, &deployments, Options{TrueOnly: true}, d, `
		kube_deployment_status_condition{namespace="",deployment="",reason="",condition="Progressing",status="unknown"} 1
	`, "kube_deployment_status_condition")
}

// TestDeploymentsShares: what a rolling update may do, in numbers and percentages.
func TestDeploymentsShares(t *testing.T) {
	for name, tc := range map[string]struct {
		replicas *int32
		share    *intstr.IntOrString
		want     string // unavailable and surge, "" for no sample
	}{
		"number":            {ptr(int32(3)), ptr(intstr.FromInt32(2)), "2 2"},
		"percent":           {ptr(int32(10)), ptr(intstr.FromString("33%")), "3 4"},
		"percent of none":   {ptr(int32(0)), ptr(intstr.FromString("33%")), "0 0"},
		"percent, no count": {nil, ptr(intstr.FromString("50%")), "0 1"},
		"no percentage":     {ptr(int32(3)), ptr(intstr.FromString("some")), ""},
		"not given":         {ptr(int32(3)), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &apps.Deployment{Spec: apps.DeploymentSpec{Replicas: tc.replicas}}
			families := []string{"kube_deployment_spec_strategy_rollingupdate_max_unavailable", "kube_deployment_spec_strategy_rollingupdate_max_surge"}
			checkRendered(t, &deployments, Options{}, d, "", families...) // not a rolling update
			d.Spec.Strategy.RollingUpdate = &apps.RollingUpdateDeployment{MaxUnavailable: tc.share, MaxSurge: tc.share}
			want := ""
			if tc.want != "" {
				want = families[0] + `{namespace="",deployment=""} ` + tc.want[:1] + "\n" + families[1] + `{namespace="",deployment=""} ` + tc.want[2:] + "\n"
			}
			checkRendered(t, &deployments, Options{}, d, want, families...)
		})
	}
}
