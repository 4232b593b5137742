package kube

import "k8s.io/api/coordination/v1"

// Leases: who leads, and which nodes are alive.
var leases = resource{
	name: "leases", version: v1.SchemeGroupVersion, kind: "Lease", namespaced: true, on: true,
	// One label does not tell leases of two namespaces apart: each family adds the
	// namespace, in kube-state-metrics' order.
	labels: []string{"lease"},
	families: []family{
		gauge("kube_lease_owner", "What the lease belongs to and who holds it; always 1.", leaseOwners, "owner_kind", "owner_name", "namespace", "lease_holder"),
		gauge("kube_lease_renew_time", "When the lease was renewed last, in seconds since the epoch.", leaseRenewed, "namespace"),
	},
}

func leaseOwners(l *Lines, o *v1.Lease) {
	holder := word(o.Spec.HolderIdentity)
	if len(o.OwnerReferences) == 0 {
		l.Add(1, "", "", o.Namespace, holder)
	}
	for i := range o.OwnerReferences {
		r := &o.OwnerReferences[i]
		l.Add(1, r.Kind, r.Name, o.Namespace, holder)
	}
}

func leaseRenewed(l *Lines, o *v1.Lease) {
	if t := o.Spec.RenewTime; t != nil && !t.IsZero() {
		l.Add(seconds(t.Time), o.Namespace)
	}
}
