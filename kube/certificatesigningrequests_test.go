package kube

import (
	"testing"

	certificates "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCertificateSigningRequests(t *testing.T) {
	r := &certificates.CertificateSigningRequest{
		ObjectMeta: v1.ObjectMeta{Name: "laptop", CreationTimestamp: v1.Unix(1500000000, 0), Labels: map[string]string{"team": "platform"}},
		Spec:       certificates.CertificateSigningRequestSpec{SignerName: `example.com/"mesh"`},
		Status: certificates.CertificateSigningRequestStatus{
			Certificate: []byte("PEM..."),
			Conditions:  []certificates.CertificateSigningRequestCondition{{Type: "Approved", Status: "False"}, {Type: "Approved"}, {Type: "Failed"}, {Type: "Odd"}},
		},
	}
	checkRendered(t, &certificateSigningRequests, Options{Labels: map[string][]string{"*": {"*"}}}, r, `
		kube_certificatesigningrequest_labels{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\"",label_team="platform"} 1
		kube_certificatesigningrequest_created{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\""} 1500000000
		kube_certificatesigningrequest_condition{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\"",condition="approved"} 2
		kube_certificatesigningrequest_condition{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\"",condition="denied"} 0
		kube_certificatesigningrequest_condition{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\"",condition="failed"} 1
		kube_certificatesigningrequest_cert_length{certificatesigningrequest="laptop",signer_name="example.com/\"mesh\""} 6
	`)
	checkRendered(t, &certificateSigningRequests, Options{}, &certificates.CertificateSigningRequest{}, `
		kube_certificatesigningrequest_condition{certificatesigningrequest="",signer_name="",condition="approved"} 0
		kube_certificatesigningrequest_condition{certificatesigningrequest="",signer_name="",condition="denied"} 0
		kube_certificatesigningrequest_condition{certificatesigningrequest="",signer_name="",condition="failed"} 0
		kube_certificatesigningrequest_cert_length{certificatesigningrequest="",signer_name=""} 0
	`)
}
