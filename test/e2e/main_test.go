//go:build e2e

// Package e2e runs the real programs as their users do.
//
// Most tests wait more than they compute, so they run beside one another, and beside the cluster of TestCluster. Each has
// its own folders, addresses and, where API servers are shared, namespaces; what is left of any is a failure of all.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"watchpost/internal/testcluster"
	"watchpost/internal/testguard"
	"watchpost/internal/testkube"
)

// kubernetes is the control plane that the tests here share, each in namespaces of
// its own.
var kubernetes = testkube.Shared{}

func TestMain(m *testing.M) {
	os.Exit(testguard.Main(func() int {
		flag.Parse()
		if err := flag.Set("test.parallel", strconv.Itoa(allTests)); err != nil {
			panic(err) // the package testing has this flag
		}
		defer os.RemoveAll(imagesDir()) // testguard tells of what is left
		return kubernetes.Main(m)
	}, testcluster.Sweep))
}

// allTests is more than there are: package testing lets them all go on, and turns says which do.
const allTests = 1000

// turns has room for the tests that run at a time, beside TestCluster, which takes no turn: it is the longest by far and
// begins at once.
var turns = make(chan struct{}, 1+runtime.NumCPU())

// beside lets a test run beside others. It is the first that a test calls.
func beside(t *testing.T) {
	t.Helper()
	t.Parallel()
	began := time.Now()
	turns <- struct{}{}
	t.Cleanup(func() { <-turns })
	if waited := time.Since(began); waited > time.Second { // which package testing counts as the test's
		t.Logf("its turn came after %s", waited.Round(time.Second))
	}
}

// buildPrograms makes the programs as `make e2e` has done before: then it takes a moment.
var buildPrograms = sync.OnceValues(func() (bin string, err error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	build := exec.Command("make", "--silent", "build")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	return filepath.Join(root, "bin"), nil
})

// programPath is where a program of the suite is.
func programPath(t *testing.T, name string) string {
	t.Helper()
	bin, err := buildPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, name)
}
