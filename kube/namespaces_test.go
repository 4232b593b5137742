package kube

import "testing"

func TestNamespaces(t *testing.T) {
	checkRendered(t, &namespaces, Options{}, object(t, &namespaces, `{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
		"status": {"phase": "Terminating", "conditions": [{"type": "NamespaceContentRemaining", "status": "True"}]}}`), `
		kube_namespace_created{namespace="o"} 1767225600
		kube_namespace_status_phase{namespace="o",phase="Active"} 0
		kube_namespace_status_phase{namespace="o",phase="Terminating"} 1
		kube_namespace_status_condition{namespace="o",condition="NamespaceContentRemaining",status="true"} 1
		kube_namespace_status_condition{namespace="o",condition="NamespaceContentRemaining",status="false"} 0
		kube_namespace_status_condition{namespace="o",condition="NamespaceContentRemaining",status="unknown"} 0
	`)
	checkRendered(t, &namespaces, Options{}, object(t, &namespaces, `{}`), `
		kube_namespace_status_phase{namespace="o",phase="Active"} 0
		kube_namespace_status_phase{namespace="o",phase="Terminating"} 0
	`)
}
