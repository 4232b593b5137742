package runtimesock

import (
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The path of a socket is no URL: it is relative, or has characters that one escapes. A
// server without services answers that it has none.
func TestDial(t *testing.T) {
	t.Chdir(t.TempDir())
	absolute, err := filepath.Abs("a b")
	if err != nil {
		t.Fatal(err)
	}
	for _, socket := range []string{"relative", "100%41?x#y", absolute} {
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(l) }()
		conn, err := Dial(socket)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Invoke(t.Context(), "/none/none", new(emptypb.Empty), new(emptypb.Empty)); status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", socket, err)
		}
		conn.Close()
		s.Stop()
		<-ended
	}
}

func TestConnectAbsent(t *testing.T) {
	if _, err := Connect(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
