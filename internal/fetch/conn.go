package fetch

import (
	"bufio"
	"context"
	"net"
)

// readSize is how many bytes are taken from the kernel at a time. TLS asks for one
// record of 16 kB after the other, and each of these would be a system call.
const readSize = 128 << 10

// conn is a connection that is read from in large pieces.
type conn struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// dial is for an http.Transport.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, readSize)}, nil
}
