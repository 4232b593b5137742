//go:build e2e

package e2e

import (
	"testing"

	"watchpost/internal/testcluster"
)

func TestCluster(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	t.Log(c.Node())
	out, err := c.Exec("sh", "-c", "kubectl --kubeconfig "+c.API.Kubeconfig()+" get all,nodes -A -o wide; ps aux; ip a; mount | tail -30")
	t.Log(out, err)
}
