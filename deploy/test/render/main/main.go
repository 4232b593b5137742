// Command main prints deploy/ with the components that are named, for tests outside of
// this module:
//
//	go run -C deploy/test ./render/main secrets probe
package main

import (
	"fmt"
	"os"

	"watchpost/deploy/test/render"
)

func main() {
	text, err := render.With("..", os.Args[1:]...)
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
