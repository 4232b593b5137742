package kube

import (
	certificates "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Requests for certificates.
var certificateSigningRequests = resource{
	name: "certificatesigningrequests", version: certificates.SchemeGroupVersion, kind: "CertificateSigningRequest", on: true,
	labels: []string{"certificatesigningrequest", "signer_name"},
	identify: func(o v1.Object) []string {
		return []string{o.GetName(), o.(*certificates.CertificateSigningRequest).Spec.SignerName}
	},
	families: []family{
		annotations("kube_certificatesigningrequest_annotations", "The request's annotations that are allowed, as labels; always 1."),
		labels("kube_certificatesigningrequest_labels", "The request's labels that are allowed, as labels; always 1."),
		created("kube_certificatesigningrequest_created", "When the request was made, in seconds since the epoch."),
		gauge("kube_certificatesigningrequest_condition", "How often the request's conditions say this of it.", requestConditions, "condition"),
		gauge("kube_certificatesigningrequest_cert_length", "Bytes of the certificate that was issued, in PEM; 0 if none was.",
			func(l *Lines, r *certificates.CertificateSigningRequest) { l.Add(float64(len(r.Status.Certificate))) }),
	},
}

func requestConditions(l *Lines, r *certificates.CertificateSigningRequest) {
	var approved, denied, failed float64
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificates.CertificateApproved:
			approved++
		case certificates.CertificateDenied:
			denied++
		case certificates.CertificateFailed:
			failed++
		}
	}
	l.Add(approved, "approved")
	l.Add(denied, "denied")
	l.Add(failed, "failed")
}
