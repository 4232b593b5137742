package kube

import "watchpost/internal/promname"

// promLabels are the entries of an object's map whose keys an allow list names, as
// labels for a sample.
func promLabels(prefix string, m map[string]string, allow []string) (pairs []pair) {
	for name, value := range promname.Labels(prefix, m, allow) {
		pairs = append(pairs, pair{name, value})
	}
	return pairs
}
