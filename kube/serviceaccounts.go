package kube

import "k8s.io/api/core/v1"

// Service accounts.
var serviceAccounts = resource{
	name: "serviceaccounts", version: v1.SchemeGroupVersion, kind: "ServiceAccount", namespaced: true,
	labels: []string{"namespace", "serviceaccount", "uid"},
	families: []family{
		gauge("kube_serviceaccount_info", "Whether pods get a token of the account without asking; always 1.",
			func(l *Lines, a *v1.ServiceAccount) { l.Add(1, boolWord(a.AutomountServiceAccountToken)) }, "automount_token"),
		created("kube_serviceaccount_created", "When the service account was made, in seconds since the epoch."),
		deleted("kube_serviceaccount_deleted", "When the service account that is being deleted is to be gone, in seconds since the epoch."),
		gauge("kube_serviceaccount_secret", "A secret that the account's pods may use; always 1.", accountSecrets, "name"),
		gauge("kube_serviceaccount_image_pull_secret", "A secret that the images of the account's pods are pulled with; always 1.", accountPullSecrets, "name"),
		annotations("kube_serviceaccount_annotations", "The service account's annotations that are allowed, as labels; always 1."),
		labels("kube_serviceaccount_labels", "The service account's labels that are allowed, as labels; always 1."),
	},
}

func accountSecrets(l *Lines, a *v1.ServiceAccount) {
	for i := range a.Secrets {
		l.Add(1, a.Secrets[i].Name)
	}
}

func accountPullSecrets(l *Lines, a *v1.ServiceAccount) {
	for i := range a.ImagePullSecrets {
		l.Add(1, a.ImagePullSecrets[i].Name)
	}
}
