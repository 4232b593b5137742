package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/cadvisor"
	"watchpost/internal/containers"
	"watchpost/internal/proxyagent"
	"watchpost/internal/words"
)

// hostFlags are those of the containers that the program reads itself.
type hostFlags struct {
	on                       bool
	kubelet                  bool // --kubelet.metrics was given
	interval                 time.Duration
	containerd, crio, docker string
	namespaces               string
	cgroups, metrics         []string
}

func (h *hostFlags) declare(app *cli.App) {
	app.Flag("cadvisor", "Read the containers of this host with the cAdvisor in this program, where there is no kubelet. It takes the place of the kubelet's page cadvisor.").BoolVar(&h.on)
	app.Flag("cadvisor.interval", "With --cadvisor: how often each cgroup is read.").Default(cadvisor.DefaultInterval.String()).DurationVar(&h.interval)
	app.Flag("cadvisor.containerd", "With --cadvisor: the socket of containerd, which knows names and labels; empty is not to ask. One that is not there is no failure, here and below.").Default(cadvisor.DefaultContainerd).StringVar(&h.containerd)
	app.Flag("cadvisor.containerd-namespaces", "Namespaces of containerd whose containers are asked for, separated by commas, in this order.").Default("k8s.io,default").StringVar(&h.namespaces)
	app.Flag("cadvisor.crio", "With --cadvisor: the socket of CRI-O; empty is not to ask.").Default(cadvisor.DefaultCRIO).StringVar(&h.crio)
	app.Flag("cadvisor.docker", "With --cadvisor: the socket of Docker; empty is not to ask.").Default(cadvisor.DefaultDocker).StringVar(&h.docker)
	app.Flag("cadvisor.cgroups", "With --cadvisor: beginnings of the cgroups to read beside / and those of containers, separated by commas: /system.slice. Without it all. Repeatable.").PlaceHolder("PREFIX,...").StringsVar(&h.cgroups)
	app.Flag("cadvisor.metrics", "With --cadvisor: sets of metrics to read, separated by commas: "+strings.Join(append(cadvisor.DefaultMetrics(), cadvisor.MoreMetrics()...), ", ")+
		". Without it those that the kubelet has: the first "+fmt.Sprint(len(cadvisor.DefaultMetrics()))+". Repeatable.").PlaceHolder("SET,...").StringsVar(&h.metrics)
}

// hostSource is the source that reads this host's containers, where that was asked for.
func (f *flags) hostSource(rules containers.Rules, log *slog.Logger) ([]proxyagent.Source, error) {
	if !f.host.on {
		return nil, nil
	}
	if !f.host.kubelet && f.kubeletMetrics == "cadvisor" { // the default, not the environment's
		f.kubeletMetrics = "none"
	}
	for _, page := range words.Split(f.kubeletMetrics) {
		if page == "cadvisor" {
			return nil, errors.New("--cadvisor and --kubelet.metrics=cadvisor are the same metrics twice: leave one out")
		}
	}
	host, err := cadvisor.New(cadvisor.Config{
		Interval: f.host.interval, Containerd: f.host.containerd, CRIO: f.host.crio, Docker: f.host.docker,
		ContainerdNamespaces: words.Split(f.host.namespaces), Cgroups: words.Split(f.host.cgroups...), Metrics: words.Split(f.host.metrics...), Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("--cadvisor: %w", err)
	}
	return []proxyagent.Source{{
		Name: "cadvisor", Path: "/metrics/cadvisor", From: host, URL: "this host", Rules: rules,
		Keep: host.Run, Own: host.WriteOwn, Kubelet: true, Streamed: true,
	}}, nil
}
