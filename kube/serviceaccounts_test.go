package kube

import "testing"

func TestServiceAccounts(t *testing.T) {
	checkRendered(t, &serviceAccounts, Options{}, object(t, &serviceAccounts, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z"}, "automountServiceAccountToken": false,
		"secrets": [{"name": "s"}, {"name": "s", "namespace": "b"}], "imagePullSecrets": [{"name": "p"}, {"name": ""}, {"name": "p"}]}`), `
		kube_serviceaccount_info{namespace="a",serviceaccount="o",uid="u",automount_token="false"} 1
		kube_serviceaccount_created{namespace="a",serviceaccount="o",uid="u"} 1767225600
		kube_serviceaccount_deleted{namespace="a",serviceaccount="o",uid="u"} 1767225601
		kube_serviceaccount_secret{namespace="a",serviceaccount="o",uid="u",name="s"} 1
		kube_serviceaccount_image_pull_secret{namespace="a",serviceaccount="o",uid="u",name="p"} 1
		kube_serviceaccount_image_pull_secret{namespace="a",serviceaccount="o",uid="u",name=""} 1
	`)
	checkRendered(t, &serviceAccounts, Options{}, object(t, &serviceAccounts, `{}`), `
		kube_serviceaccount_info{namespace="a",serviceaccount="o",uid="u",automount_token=""} 1
	`)
}
