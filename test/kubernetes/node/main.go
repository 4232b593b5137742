// Command node is the rest of Kubernetes that a cluster of one node needs beside the
// control plane, in one program: the name of a part is the first argument, its flags
// are the others.
//
//	node kubelet --config=FILE --kubeconfig=FILE ...
//
// Together they share what they are linked from: four programs would be four times
// the size and the time to link.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // their log formats, as in the real programs
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	parts := map[string]func() *cobra.Command{
		"kubelet": func() *cobra.Command {
			return kubelet.NewKubeletCommand(context.Background())
		},
		"kube-controller-manager": controllers.NewControllerManagerCommand,
		"kube-proxy":              proxy.NewProxyCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	}
	known := strings.Join(slices.Sorted(maps.Keys(parts)), ", ")
	if len(os.Args) < 2 {
		fmt.Fprintf(os.Stderr, "node: which part? One of: %s\n", known)
		os.Exit(2)
	}
	part, found := parts[os.Args[1]]
	if !found {
		fmt.Fprintf(os.Stderr, "node: no part is called %q; one of: %s\n", os.Args[1], known)
		os.Exit(2)
	}
	os.Args = os.Args[1:] // what each of them takes for its own
	os.Exit(cli.Run(part()))
}
