package kube

import "testing"

func TestLeases(t *testing.T) {
	checkRendered(t, &leases, Options{}, object(t, &leases, `{"metadata": {"ownerReferences": [{"kind": "Node", "name": "n"}, {"kind": "Pod", "name": "p"}, {"kind": "Node", "name": "n"}]},
		"spec": {"holderIdentity": "n_1", "renewTime": "2026-01-01T00:00:00.999999Z"}}`), `
		kube_lease_owner{lease="o",owner_kind="Node",owner_name="n",namespace="a",lease_holder="n_1"} 1
		kube_lease_owner{lease="o",owner_kind="Pod",owner_name="p",namespace="a",lease_holder="n_1"} 1
		kube_lease_renew_time{lease="o",namespace="a"} 1767225600
	`)
	checkRendered(t, &leases, Options{}, object(t, &leases, `{}`), `
		kube_lease_owner{lease="o",owner_kind="",owner_name="",namespace="a",lease_holder=""} 1
	`)
}
