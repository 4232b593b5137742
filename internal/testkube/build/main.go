// Command build builds the control plane of the tests, unless it is there as its
// sources have it, so that no test's time limit has to hold a build of minutes.
package main

import (
	"fmt"
	"os"
	"slices"

	"watchpost/internal/testkube"
)

func main() {
	_, err := testkube.Build()
	if err == nil && slices.Equal(os.Args[1:], []string{"cluster"}) {
		_, _, err = testkube.BuildNode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testkube/build:", err)
		os.Exit(1)
	}
}
