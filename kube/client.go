package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"watchpost/internal/words"
)

// ClientConfig says how the API server is reached.
type ClientConfig struct {
	// Kubeconfig is the path of a kubeconfig; without it and without Server the
	// service account of the pod counts.
	Kubeconfig string
	// Server is the URL of the API server, in place of the one in the kubeconfig.
	Server string
	// QPS and Burst limit how often requests are made: so many a second, and so many
	// at once. Zero is 50 and 100; a negative QPS is no limit. Every watch is one
	// request, and one more each 5 to 10 minutes.
	QPS   float32
	Burst int
	// UserAgent is the name by which the API server knows this program.
	UserAgent string
}

// Client asks the API server. It is safe for concurrent use, and may serve several
// clusters one after another.
type Client struct {
	config  *rest.Config
	http    *http.Client
	base    *url.URL
	limiter flowcontrol.RateLimiter
	scheme  *runtime.Scheme
	pages   atomic.Bool // lists are not streamed
}

// NewClient makes a client. It reads files and makes no request. The error is one line.
func NewClient(c ClientConfig) (*Client, error) {
	config, err := c.rest()
	if err != nil {
		return nil, err
	}
	config.UserAgent = c.UserAgent
	// Text that is read once is not worth compressing, least of all by an API server
	// that many ask.
	config.DisableCompression = true
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	tls := config.CAFile != "" || len(config.CAData) > 0 || config.CertFile != "" || len(config.CertData) > 0 || config.Insecure
	base, _, err := rest.DefaultServerURL(config.Host, "", schema.GroupVersion{}, tls)
	if err != nil {
		return nil, fmt.Errorf("address of the API server %q: %w", config.Host, err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	client := &Client{config: config, http: hc, base: base, scheme: scheme}
	switch {
	case c.QPS < 0:
		client.limiter = flowcontrol.NewFakeAlwaysRateLimiter()
	case c.QPS == 0:
		client.limiter = flowcontrol.NewTokenBucketRateLimiter(50, max(c.Burst, 100))
	default:
		client.limiter = flowcontrol.NewTokenBucketRateLimiter(c.QPS, max(c.Burst, 1))
	}
	return client, nil
}

// rest is the configuration as client-go has it.
func (c ClientConfig) rest() (*rest.Config, error) {
	if c.Kubeconfig == "" && c.Server == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("no kubeconfig was named, and this is not a pod of a cluster")
		}
		if err != nil {
			return nil, fmt.Errorf("service account of this pod: %w", err)
		}
		return config, nil
	}
	overrides := &clientcmd.ConfigOverrides{}
	overrides.ClusterInfo.Server = c.Server
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %s", c.Kubeconfig, words.OneLine(err))
	}
	return config, nil
}

// Server is the URL of the API server.
func (c *Client) Server() string { return c.base.String() }

// resourcePath is where a resource is, in a namespace or, with "", in all.
func resourcePath(r *resource, namespace string) string {
	path := "/apis/" + r.version.Group + "/" + r.version.Version
	if r.version.Group == "" {
		path = "/api/" + r.version.Version
	}
	if namespace != "" && r.namespaced {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.name
}

// Media types; those of tables and of mere metadata are the API server's own
// (https://kubernetes.io/docs/reference/using-api/api-concepts/).
const (
	mediaProtobuf = "application/vnd.kubernetes.protobuf"
	mediaJSON     = "application/json"
	asMeta        = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	asMetaList    = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	asTable       = ";as=Table;g=meta.k8s.io;v=v1"
)

// accept is the media type to ask for.
func accept(f fetch, watch bool) string {
	switch {
	case f == fetchMetadata && watch:
		return mediaProtobuf + asMeta
	case f == fetchMetadata:
		return mediaProtobuf + asMetaList
	case f == fetchColumns:
		return mediaJSON + asTable
	case f == fetchAny:
		return mediaJSON
	}
	return mediaProtobuf
}

// maxStatus bounds what is read of a refusal, in bytes.
const maxStatus = 64 << 10

// open makes a GET request and returns the body of the answer. A refusal is an
// *apierrors.StatusError. The context ends the body, too.
func (c *Client) open(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	return c.send(ctx, http.MethodGet, path, query, accept, nil)
}

// create makes a POST request with an object in JSON, and reads the answer into it:
// for reviews, which are objects that are asked for an answer and not stored.
func (c *Client) create(ctx context.Context, path string, object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	body, err := c.send(ctx, http.MethodPost, path, nil, mediaJSON, bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(io.LimitReader(body, maxReview)).Decode(object)
}

// maxReview bounds the answer to a review in bytes: a user may be in many groups.
const maxReview = 1 << 20

// send makes a request; in is what is sent with it, JSON.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, accept string, in io.Reader) (io.ReadCloser, error) {
	if err := c.limiter.Wait(ctx); err != nil {
		return nil, err
	}
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, u.String(), in)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	if in != nil {
		request.Header.Set("Content-Type", mediaJSON)
	}
	answer, err := c.http.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) { // whose text has all of the request
		return nil, failed.Err
	}
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusCreated {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxStatus)) // what there is of it
	status := readStatus(body, answer.Header.Get("Content-Type"))
	if status == nil {
		text := strings.Join(strings.Fields(string(body[:min(len(body), 200)])), " ")
		status = &apierrors.StatusError{ErrStatus: v1.Status{Status: v1.StatusFailure, Message: fmt.Sprintf("HTTP status %s: %q", answer.Status, text)}}
	}
	status.ErrStatus.Code = int32(answer.StatusCode)
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		if status.ErrStatus.Details == nil {
			status.ErrStatus.Details = &v1.StatusDetails{}
		}
		status.ErrStatus.Details.RetryAfterSeconds = int32(min(seconds, 3600))
	}
	return nil, status
}

// statusCode is the HTTP status of a refusal, else 0.
func statusCode(err error) int {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return int(status.Status().Code)
	}
	return 0
}

// errSilent is that of an answer that stopped coming.
var errSilent = errors.New("the API server has fallen silent")

// guarded is a body that is given up when nothing of it comes for a while.
type guarded struct {
	io.ReadCloser
	silence time.Duration // 0: any
	giveUp  context.CancelCauseFunc
}

func (g *guarded) Read(b []byte) (int, error) {
	if g.silence == 0 {
		return g.ReadCloser.Read(b)
	}
	t := time.AfterFunc(g.silence, func() { g.giveUp(errSilent) })
	defer t.Stop()
	return g.ReadCloser.Read(b)
}
