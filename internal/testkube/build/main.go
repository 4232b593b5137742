// Command build builds the control plane of the tests, unless it is there and newer
// than its sources, so that no test's time limit has to hold a build of minutes.
package main

import (
	"fmt"
	"os"

	"watchpost/internal/testkube"
)

func main() {
	if _, err := testkube.Build(); err != nil {
		fmt.Fprintln(os.Stderr, "testkube/build:", err)
		os.Exit(1)
	}
}
