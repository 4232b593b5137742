// Package runtimesock connects to the socket of a container runtime by gRPC.
package runtimesock

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// maxMessage is the most bytes of an answer: what the kubelet takes, and containerd sends.
const maxMessage = 16 << 20

// Times of a connection. An attempt at a socket costs nothing, so pauses are short.
const (
	connectTimeout      = 10 * time.Second
	minPause, maxPause  = time.Second, 5 * time.Second // between attempts to connect
	idleTimeout         = time.Minute                  // without a call: then it is closed, until the next
	growth, uncertainty = 1.6, 0.2                     // of pauses, those of grpc's own
)

// Dial prepares a connection to the runtime that listens at socket, a path taken as it
// is. It connects at the first call, and again where it is lost: the socket need not be
// there yet. Whoever dials closes it.
func Dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///localhost",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return Connect(ctx, socket) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(), grpc.WithIdleTimeout(idleTimeout),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minPause, Multiplier: growth, Jitter: uncertainty, MaxDelay: maxPause},
			MinConnectTimeout: connectTimeout,
		}))
}

// Connect connects to a unix socket. The error is that of the system, which a call by
// gRPC does not keep.
func Connect(ctx context.Context, socket string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}
