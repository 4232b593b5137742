package testkube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// userValidity of a user's certificate: longer than any test, and than what alerts warn of.
const userValidity = 365 * 24 * time.Hour

// User returns the path of a kubeconfig for a user of that name in those groups, who
// may do what RBAC objects allow him and no more. He is known by a client certificate,
// so users can be made at any time, and are as real as a kubelet.
func (c *Cluster) User(name string, groups ...string) (kubeconfig string, err error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, key, err := c.certificate(template)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, fmt.Sprintf("user-%d.kubeconfig", template.SerialNumber))
	return path, c.rewrite(path, func(k *api.Config) {
		k.AuthInfos = map[string]*api.AuthInfo{name: {
			ClientCertificateData: cert,
			ClientKeyData:         key,
		}}
		k.Contexts[k.CurrentContext].AuthInfo = name
	})
}

// ServerCertificate writes a certificate for a server with these names and addresses,
// and its key, into the cluster's folder: whoever trusts the authority of the
// kubeconfig trusts the server.
func (c *Cluster) ServerCertificate(name string, addresses ...net.IP) (certPath, keyPath string, err error) {
	cert, key, err := c.certificate(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{name}, IPAddresses: addresses,
	})
	if err != nil {
		return "", "", err
	}
	certPath, keyPath = filepath.Join(c.dir, name+".crt"), filepath.Join(c.dir, name+".key")
	return certPath, keyPath, errors.Join(os.WriteFile(certPath, cert, 0o600), os.WriteFile(keyPath, key, 0o600))
}

// certificate fills in what all certificates have in common, and signs it; both
// results are PEM.
func (c *Cluster) certificate(template *x509.Certificate) (cert, key []byte, err error) {
	c.mu.Lock()
	c.issued++
	serial := c.issued
	c.mu.Unlock()
	caDER, err := c.readPEM("ca.crt")
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, nil, err
	}
	caKeyDER, err := c.readPEM("ca.key")
	if err != nil {
		return nil, nil, err
	}
	caKey, err := x509.ParsePKCS8PrivateKey(caKeyDER)
	if err != nil {
		return nil, nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = big.NewInt(1000 + int64(serial)) // below are those of the control plane
	template.NotBefore, template.NotAfter = ca.NotBefore, time.Now().Add(userValidity)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, ca, own.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// rewrite writes the admin's kubeconfig to path with changes.
func (c *Cluster) rewrite(path string, change func(*api.Config)) error {
	k, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return err
	}
	change(k)
	return clientcmd.WriteToFile(*k, path)
}

// readPEM is the content of the first block of a file in the cluster's folder.
func (c *Cluster) readPEM(name string) ([]byte, error) {
	path := filepath.Join(c.dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}
