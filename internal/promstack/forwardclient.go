package promstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote"
)

// maxAnswerRead is how much of an answer is looked at.
const maxAnswerRead = 512

// errNothingStored is that of an answer with success that says, or in 2.0 by its silence
// means, that nothing was stored. The samples are not sent again, as the protocol has it.
var errNothingStored = errors.New("the endpoint answers with success, but not that it has stored anything")

// writeClient sends requests to one endpoint.
type writeClient struct {
	remote.WriteClient
	v2 bool
}

func newWriteClient(name string, c *config.RemoteWriteConfig) (writeClient, error) {
	client, err := remote.NewWriteClient(name, &remote.ClientConfig{
		URL:              c.URL,
		WriteProtoMsg:    c.ProtobufMessage,
		Timeout:          c.RemoteTimeout,
		HTTPClientConfig: c.HTTPClientConfig,
		SigV4Config:      c.SigV4Config,
		AzureADConfig:    c.AzureADConfig,
		GoogleIAMConfig:  c.GoogleIAMConfig,
		Headers:          c.Headers,
		RetryOnRateLimit: c.QueueConfig.RetryOnRateLimit,
		RoundRobinDNS:    c.RoundRobinDNS,
	})
	if err != nil {
		return writeClient{}, err
	}
	if c, ok := client.(*remote.Client); ok {
		c.Client.Transport = answerReader{c.Client.Transport}
	}
	return writeClient{client, c.ProtobufMessage == remoteapi.WriteV2MessageType}, nil
}

// send makes one attempt.
func (c *writeClient) send(ctx context.Context, req []byte, try int, sent counts) (remote.WriteResponseStats, error) {
	stored, err := c.Store(ctx, req, try)
	if err == nil && (c.v2 || stored.Confirmed) && stored.NoDataWritten() && sent != (counts{}) {
		err = errNothingStored
		if !stored.Confirmed {
			err = fmt.Errorf("%w: it may know remote write 1.0 only, which is protobuf_message: prometheus.WriteRequest", err)
		}
	}
	return stored, err
}

// answer is what an endpoint's answer says beyond success or failure.
type answer struct {
	retryAfter time.Duration
	wrong      string // why it cannot have stored anything; "" where it may have
}

// answerKey is that of the *answer in the context of a request.
type answerKey struct{}

// answerReader looks at the answers. An answer with success that cannot come from a
// receiver becomes an error after which the request is sent again: a page, which is
// what a login, a proxy or a web server says to everything, or the answer to a GET, into
// which a redirection (301, 302, 303) turns a POST, without its body.
type answerReader struct{ next http.RoundTripper }

func (r answerReader) RoundTrip(req *http.Request) (*http.Response, error) {
	told, _ := req.Context().Value(answerKey{}).(*answer)
	if told == nil {
		told = new(answer)
	}
	if req.Method != http.MethodPost {
		told.wrong = fmt.Sprintf("it redirects to %s, where nothing can be sent to: give the address of the receiver itself", req.URL.Redacted())
		return nil, errors.New(told.wrong)
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	told.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if resp.StatusCode/100 != 2 || resp.ContentLength == 0 {
		return resp, nil
	}
	head := make([]byte, maxAnswerRead)
	n, err := io.ReadFull(resp.Body, head)
	head = head[:n]
	if isPage(head) {
		resp.Body.Close()
		told.wrong = fmt.Sprintf("it answers %s with a page (%q): is this the address of a receiver?", resp.Status, oneLine(head[:min(n, 60)]))
		return nil, errors.New(told.wrong)
	}
	rest := resp.Body
	if err != nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(head), rest}
		return resp, nil
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
	return resp, nil
}

// isPage says whether a text begins as HTML does. Some receivers send a few words with
// their success, and some frameworks call any answer text/html; neither is a page.
func isPage(b []byte) bool {
	b = bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n"))
	for bytes.HasPrefix(b, []byte("<!--")) {
		_, after, closed := bytes.Cut(b, []byte("-->"))
		if !closed {
			return true
		}
		b = bytes.TrimLeft(after, " \t\r\n")
	}
	return bytes.HasPrefix(b, []byte("<!doctype html")) || bytes.HasPrefix(b, []byte("<html"))
}

// retryAfter is the time to wait that the header asks for, 0 if it asks for none.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if s, err := strconv.Atoi(header); err == nil {
		return max(time.Duration(s)*time.Second, 0)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
