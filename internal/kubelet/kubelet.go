// Package kubelet asks the kubelet of this node: for the metrics of its containers
// and its own, and for its pods.
package kubelet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"watchpost/internal/fetch"
)

// Port is the kubelet's, for those who have a token.
const Port = "10250"

// Files of a pod's service account.
const (
	ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	ServiceAccountCA    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
)

// Endpoint is a page of metrics.
type Endpoint struct {
	Name, Path string
	// Own tells that the metrics are about the kubelet itself.
	Own bool
}

// Endpoints are the pages of metrics of a kubelet
// (https://kubernetes.io/docs/concepts/cluster-administration/system-metrics/).
func Endpoints() []Endpoint {
	return []Endpoint{
		{Name: "cadvisor", Path: "/metrics/cadvisor"},
		{Name: "resource", Path: "/metrics/resource"},
		{Name: "probes", Path: "/metrics/probes"},
		{Name: "kubelet", Path: "/metrics", Own: true},
	}
}

// URL is the kubelet's address by what Kubernetes tells a pod of its node: the
// address, or else the name; "" where neither is known.
func URL(hostIP, nodeName string) string {
	switch {
	case hostIP != "":
		return "https://" + net.JoinHostPort(hostIP, Port)
	case nodeName != "":
		return "https://" + net.JoinHostPort(nodeName, Port)
	}
	return ""
}

// Client asks one kubelet.
type Client struct{ *fetch.Client }

// New makes a client. The error tells which setting is wrong.
func New(cfg fetch.Config) (*Client, error) {
	c, err := fetch.New(cfg)
	return &Client{c}, err
}

// Get asks for a page, as fetch.Client does. The error of a refusal tells what to
// grant.
func (c *Client) Get(ctx context.Context, path string, header ...string) (*fetch.Answer, error) {
	answer, err := c.Client.Get(ctx, path, header...)
	if refused := new(fetch.StatusError); errors.As(err, &refused) {
		switch refused.Status {
		case http.StatusForbidden:
			refused.Hint = "grant get on " + subresource(path) + " to this program's service account (a ClusterRole with apiGroups [\"\"])"
		case http.StatusUnauthorized:
			refused.Hint += "; tokens of service accounts are taken by a kubelet with authentication.webhook.enabled"
		}
	} else if bad := new(x509.CertificateInvalidError); errors.As(err, bad) && bad.Reason == x509.Expired {
		err = &hinted{err, expired(bad.Cert)}
	} else if err != nil && strings.Contains(err.Error(), "x509: ") {
		err = &hinted{err, "name the certificates by --kubelet.ca-file and the name in the kubelet's by --kubelet.server-name; where it signed its own, --kubelet.insecure-skip-verify takes any"}
	}
	return answer, err
}

// expired tells which certificate is not of today.
func expired(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate %q counts from %s to %s: renew the kubelet's serving certificate (serverTLSBootstrap, or the file that its tlsCertFile names), or set the clock of this node",
		c.Subject, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
}

// subresource is what a kubelet asks the API server about for a path
// (https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/).
func subresource(path string) string {
	if strings.HasPrefix(path, "/metrics") {
		return "nodes/metrics"
	}
	return "nodes/pods (nodes/proxy before Kubernetes 1.33)"
}

// hinted is an error with what can be done.
type hinted struct {
	error
	hint string
}

func (e *hinted) Error() string { return e.error.Error() + "; " + e.hint }
func (e *hinted) Unwrap() error { return e.error }
