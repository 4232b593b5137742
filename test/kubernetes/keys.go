package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// validity of certificates; a control plane for tests does not live that long.
const validity = 10 * 365 * 24 * time.Hour

// rsaBits of the key that signs the tokens of service accounts.
const rsaBits = 2048

// keys are the paths of what a folder holds to recognise its server and users.
type keys struct {
	ca, serverCert, serverKey string
	kubeletCert, kubeletKey   string // by which kubelets know the server
	serviceAccount            string // key that signs tokens
	tokens                    string // token,user,uid,groups for --token-auth-file
	adminToken                string
}

// readyKeys makes the keys of a folder, unless an earlier process has. The last file
// written is the one that tells so.
func readyKeys(o options) (keys, error) {
	in := func(name string) string { return filepath.Join(o.dir, name) }
	k := keys{
		ca: in("ca.crt"), serverCert: in("apiserver.crt"), serverKey: in("apiserver.key"),
		kubeletCert: in("kubelet-client.crt"), kubeletKey: in("kubelet-client.key"),
		serviceAccount: in("service-account.key"), tokens: in("tokens.csv"), adminToken: in("admin.token"),
	}
	if _, err := os.Stat(k.adminToken); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := k.certificates(in("ca.key"), o); err != nil {
		return k, err
	}
	account, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return k, err
	}
	if err := writeKey(k.serviceAccount, account); err != nil {
		return k, err
	}
	token := rand.Text()
	if err := os.WriteFile(k.tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return k, err
	}
	return k, os.WriteFile(k.adminToken, []byte(token+"\n"), 0o600)
}

// certificates makes an authority, the server's certificate for loopback, its own
// address and that of the service "kubernetes", and one that it shows to kubelets.
func (k keys) certificates(caKeyPath string, o options) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	start := time.Now().Add(-time.Hour) // clocks differ
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "control-plane"},
		NotBefore:    start, NotAfter: start.Add(validity),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	if err := errors.Join(writeKey(caKeyPath, caKey), writePEM(k.ca, "CERTIFICATE", der)); err != nil {
		return err
	}
	issue := func(template *x509.Certificate, certPath, keyPath string) error {
		template.NotBefore, template.NotAfter, template.KeyUsage = start, ca.NotAfter, x509.KeyUsageDigitalSignature
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
		if err != nil {
			return err
		}
		return errors.Join(writeKey(keyPath, key), writePEM(certPath, "CERTIFICATE", der))
	}
	err = issue(&x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// The first address of the range is the service's.
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, o.address.AsSlice(), o.services.Masked().Addr().Next().AsSlice()},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
	}, k.serverCert, k.serverKey)
	if err != nil {
		return err
	}
	return issue(&x509.Certificate{
		SerialNumber: big.NewInt(3),
		Subject:      pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, k.kubeletCert, k.kubeletKey)
}

// writeKubeconfig writes the file that makes its reader the admin, and returns its
// path.
func (k keys) writeKubeconfig(o options) (string, error) {
	ca, err := os.ReadFile(k.ca)
	if err != nil {
		return "", err
	}
	token, err := os.ReadFile(k.adminToken)
	if err != nil {
		return "", err
	}
	c := api.NewConfig()
	c.Clusters["test"] = &api.Cluster{Server: o.url(), CertificateAuthorityData: ca}
	c.AuthInfos["admin"] = &api.AuthInfo{Token: strings.TrimSpace(string(token))}
	c.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: "admin"}
	c.CurrentContext = "test"
	path, err := filepath.Abs(filepath.Join(o.dir, "kubeconfig"))
	if err != nil {
		return "", err
	}
	return path, clientcmd.WriteToFile(*c, path)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
