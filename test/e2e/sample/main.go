// Command sample is what the pods of the end-to-end test run: most of them are in trouble.
//
//	sample dial A  ends once it is connected to an address
//	sample crash   ends with an error after a second
//	sample fail    ends with an error at once
//	sample spin    uses all the CPU it gets
//	sample hold N  takes N MiB of memory, and keeps it
//	sample grow    takes memory until it is killed
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "sample: dial, crash, fail, spin, hold or grow?")
		os.Exit(2)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-end
		os.Exit(0)
	}()
	switch os.Args[1] {
	case "dial":
		for {
			conn, err := net.DialTimeout("tcp", os.Args[2], 5*time.Second)
			if err == nil {
				conn.Close()
				return
			}
			fmt.Fprintln(os.Stderr, "sample:", err)
			time.Sleep(time.Second)
		}
	case "crash":
		time.Sleep(time.Second)
		os.Exit(1)
	case "fail":
		os.Exit(1)
	case "spin":
		for n := 0; ; n++ {
		}
	case "hold":
		mib, err := strconv.Atoi(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, "sample:", err)
			os.Exit(2)
		}
		held := take(mib)
		for {
			time.Sleep(time.Minute)
			held[0]++
		}
	case "grow":
		var held [][]byte
		for {
			held = append(held, take(4))
			time.Sleep(50 * time.Millisecond)
			runtime.KeepAlive(held)
		}
	default:
		fmt.Fprintf(os.Stderr, "sample: unknown trouble %q\n", os.Args[1])
		os.Exit(2)
	}
}

// take is memory that is used: each page is written.
func take(mib int) []byte {
	b := make([]byte, mib<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return b
}
