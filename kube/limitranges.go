package kube

import "k8s.io/api/core/v1"

// Limit ranges.
var limitRanges = resource{
	name: "limitranges", version: v1.SchemeGroupVersion, kind: "LimitRange", namespaced: true, on: true,
	labels: []string{"namespace", "limitrange"},
	families: []family{
		gauge("kube_limitrange", "A bound or default of a resource for the pods, containers or claims of the namespace.", limitAmounts, "resource", "type", "constraint"),
		created("kube_limitrange_created", "When the limit range was made, in seconds since the epoch."),
	},
}

func limitAmounts(l *Lines, r *v1.LimitRange) {
	var buf [16]v1.ResourceName
	for i := range r.Spec.Limits {
		item := &r.Spec.Limits[i]
		for _, c := range [...]struct {
			constraint string
			list       v1.ResourceList
		}{
			{"min", item.Min}, {"max", item.Max}, {"default", item.Default}, {"defaultRequest", item.DefaultRequest}, {"maxLimitRequestRatio", item.MaxLimitRequestRatio},
		} {
			for _, name := range resourceNames(c.list, buf[:0]) {
				l.Milli(c.list[name], string(name), string(item.Type), c.constraint)
			}
		}
	}
}
