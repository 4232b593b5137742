package testkube

import (
	"sync"
	"testing"
)

// Shared is the control plane that the tests of one package share; it is started by
// the first that asks. The package has
//
//	var cluster testkube.Shared
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
type Shared struct {
	Options Options

	once    sync.Once
	cluster *Cluster
	err     error
}

// Main runs the tests and ends the control plane, if one was started. It returns the
// exit code.
func (s *Shared) Main(m *testing.M) int {
	defer func() {
		if s.cluster != nil {
			s.cluster.Stop() // what is left of a temporary folder is not worth a failure
		}
	}()
	return m.Run()
}

// Get returns the running control plane. The test is skipped with -short, and fails
// where the program cannot be built.
func (s *Shared) Get(t testing.TB) *Cluster {
	t.Helper()
	skipShort(t)
	s.once.Do(func() { s.cluster, s.err = Launch(s.Options) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.cluster
}

// skipShort skips the test with -short.
func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Kubernetes control plane, which -short leaves out")
	}
}
