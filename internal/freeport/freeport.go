// Package freeport chooses the ports that programs under test are told to listen on.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports are below those that the kernel gives to outgoing connections (32768 and
// above: net.ipv4.ip_local_port_range in Documentation/networking/ip-sysctl.rst), so that
// no connection takes one between the choice and the listening.
const first, last = 10000, 32767

// given are the ports that this process was given.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Port is one of 127.0.0.1 that nobody listens on and that this process was not given
// before. Processes choose at random, so that those beside each other seldom meet.
func Port() (int, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	var err error
	for range 1000 {
		port := first + rand.IntN(last-first+1)
		if given.ports[port] {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address(port)); err != nil {
			continue
		}
		given.ports[port] = true
		return port, l.Close()
	}
	return 0, fmt.Errorf("no port of 127.0.0.1 from %d to %d is free: %w", first, last, err)
}

// Address is 127.0.0.1 and a Port.
func Address() (string, error) {
	port, err := Port()
	return address(port), err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
