package kube

import "testing"

func TestLimitRanges(t *testing.T) {
	checkRendered(t, &limitRanges, Options{}, object(t, &limitRanges, `{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"limits": [
		{"type": "Container", "min": {"cpu": "10m"}, "max": {"memory": "1Gi", "cpu": "4"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "10"}},
		{"type": "PersistentVolumeClaim", "max": {"storage": "1Ti"}}, {"type": "Container", "min": {"cpu": "20m"}}, {"type": "Pod"}]}}`), `
		kube_limitrange{namespace="a",limitrange="o",resource="cpu",type="Container",constraint="min"} 0.01
		kube_limitrange{namespace="a",limitrange="o",resource="cpu",type="Container",constraint="max"} 4
		kube_limitrange{namespace="a",limitrange="o",resource="memory",type="Container",constraint="max"} 1073741824
		kube_limitrange{namespace="a",limitrange="o",resource="cpu",type="Container",constraint="default"} 0.5
		kube_limitrange{namespace="a",limitrange="o",resource="cpu",type="Container",constraint="defaultRequest"} 0.1
		kube_limitrange{namespace="a",limitrange="o",resource="cpu",type="Container",constraint="maxLimitRequestRatio"} 10
		kube_limitrange{namespace="a",limitrange="o",resource="storage",type="PersistentVolumeClaim",constraint="max"} 1099511627776
		kube_limitrange_created{namespace="a",limitrange="o"} 1767225600
	`)
}
