package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

// dribble connects and sends a request at one byte a second. It returns how long
// the server bore it; an error where it still did after patience.
func dribble(ctx context.Context, address string, patience time.Duration) (time.Duration, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	begun := time.Now()
	request := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nX-Filler: "
	answer := make([]byte, 512)
	for i := 0; time.Since(begun) < patience; i++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		next := byte('a') // a header without end
		if i < len(request) {
			next = request[i]
		}
		if _, err := conn.Write([]byte{next}); err != nil {
			return time.Since(begun), nil
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		for { // until a second has passed or the server hangs up; it may say why first
			_, err := conn.Read(answer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return time.Since(begun), nil
			}
		}
	}
	return 0, fmt.Errorf("a client that sends one byte a second was not cut off within %s", patience)
}
