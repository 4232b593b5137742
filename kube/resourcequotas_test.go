package kube

import "testing"

func TestResourceQuotas(t *testing.T) {
	checkRendered(t, &resourceQuotas, Options{}, object(t, &resourceQuotas, `{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"hard": {"pods": "9"}},
		"status": {"hard": {"limits.cpu": "1500m", "requests.storage": "100Pi", "count/deployments.apps": "15"}, "used": {"limits.cpu": "100u"}}}`), `
		kube_resourcequota_created{namespace="a",resourcequota="o"} 1767225600
		kube_resourcequota{namespace="a",resourcequota="o",resource="count/deployments.apps",type="hard"} 15
		kube_resourcequota{namespace="a",resourcequota="o",resource="limits.cpu",type="hard"} 1.5
		kube_resourcequota{namespace="a",resourcequota="o",resource="requests.storage",type="hard"} 1.125899906842624e+17
		kube_resourcequota{namespace="a",resourcequota="o",resource="limits.cpu",type="used"} 0.001
	`)
}
