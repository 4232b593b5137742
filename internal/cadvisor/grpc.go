package cadvisor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
)

// grpcClient calls methods of a server on a unix socket that take one message and
// return one. That is a POST by HTTP/2 with five bytes before each message
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md); the library for
// it would be a third of the program.
type grpcClient struct {
	http   *http.Client
	socket string
}

// maxMessage is containerd's own bound.
const maxMessage = 16 << 20

func newGRPC(socket string) *grpcClient {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &grpcClient{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: dialUnix(socket), DisableCompression: true, Protocols: protocols,
	}}}
}

func dialUnix(socket string) func(ctx context.Context, _, _ string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
}

// isAbsent tells whether an error is that nobody listens at a socket.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// grpcError is the status of a call that failed.
type grpcError struct {
	code    int // https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
	message string
}

const grpcNotFound = 5

func (e *grpcError) Error() string { return fmt.Sprintf("gRPC status %d: %s", e.code, e.message) }

// call calls a method. header has names and values in turn.
func (c *grpcClient) call(ctx context.Context, method string, message []byte, header ...string) ([]byte, error) {
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // 0: not compressed
	body = append(body, message...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+method, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s: HTTP status %s", c.socket, method, answer.Status)
	}
	whole, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", c.socket, method, err)
	}
	if len(whole) > maxMessage {
		return nil, fmt.Errorf("%s%s: an answer of more than %d bytes", c.socket, method, maxMessage)
	}
	// The status is in the trailers; without a message it may be in the header.
	status := answer.Trailer
	if status.Get("Grpc-Status") == "" {
		status = answer.Header
	}
	code, err := strconv.Atoi(status.Get("Grpc-Status"))
	if err != nil {
		return nil, fmt.Errorf("%s%s: an answer with the gRPC status %q", c.socket, method, status.Get("Grpc-Status"))
	}
	if code != 0 {
		text := status.Get("Grpc-Message")
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		return nil, &grpcError{code, text}
	}
	if len(whole) < 5 || whole[0] != 0 || int64(binary.BigEndian.Uint32(whole[1:5])) != int64(len(whole)-5) {
		return nil, fmt.Errorf("%s%s: not one whole message but %d bytes", c.socket, method, len(whole))
	}
	return whole[5:], nil
}
