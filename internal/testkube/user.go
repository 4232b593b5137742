package testkube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// userValidity of a user's certificate: longer than any test.
const userValidity = 24 * time.Hour

// User returns the path of a kubeconfig for a user of that name in those groups, who
// may do what RBAC objects allow him and no more. He is known by a client certificate,
// so users can be made at any time, and are as real as a kubelet.
func (c *Cluster) User(name string, groups ...string) (kubeconfig string, err error) {
	c.mu.Lock()
	c.users++
	serial := c.users
	c.mu.Unlock()
	caDER, err := c.readPEM("ca.crt")
	if err != nil {
		return "", err
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return "", err
	}
	caKeyDER, err := c.readPEM("ca.key")
	if err != nil {
		return "", err
	}
	caKey, err := x509.ParsePKCS8PrivateKey(caKeyDER)
	if err != nil {
		return "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1000 + int64(serial)), // below are the server's
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    ca.NotBefore, NotAfter: time.Now().Add(userValidity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, key.Public(), caKey)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, fmt.Sprintf("user-%d.kubeconfig", serial))
	return path, c.rewrite(path, func(k *api.Config) {
		k.AuthInfos = map[string]*api.AuthInfo{name: {
			ClientCertificateData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
			ClientKeyData:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		}}
		k.Contexts[k.CurrentContext].AuthInfo = name
	})
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
