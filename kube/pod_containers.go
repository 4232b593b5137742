package kube

import "k8s.io/api/core/v1"

// The containers of pods: what is wanted of them (the pod's spec) and how they are
// (its status).

// containers says which of a pod's containers a family is about.
type containers uint8

const (
	// mainContainers are the pod's containers; with Options.Sidecars also its init
	// containers that are started again whenever they end.
	mainContainers containers = iota
	initContainers
)

// statuses calls a function for each container that a pod's status has. The spec
// need not have one of that name.
func (of containers) statuses(l *Lines, p *v1.Pod, each func(*v1.ContainerStatus)) {
	if of == mainContainers {
		for i := range p.Status.ContainerStatuses {
			each(&p.Status.ContainerStatuses[i])
		}
		if !l.sidecars {
			return
		}
	}
	for i := range p.Status.InitContainerStatuses {
		if s := &p.Status.InitContainerStatuses[i]; of == initContainers || namedSidecar(p, s.Name) {
			each(s)
		}
	}
}

// specs calls a function for each container that a pod's spec has, with the
// statuses among which its own is to be found by name.
func (of containers) specs(l *Lines, p *v1.Pod, each func(*v1.Container, []v1.ContainerStatus)) {
	if of == mainContainers {
		for i := range p.Spec.Containers {
			each(&p.Spec.Containers[i], p.Status.ContainerStatuses)
		}
		if !l.sidecars {
			return
		}
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; of == initContainers || sidecar(c) {
			each(c, p.Status.InitContainerStatuses)
		}
	}
}

// eachStatus makes a function that writes of each container's status what write does.
func eachStatus(of containers, write func(*Lines, *v1.ContainerStatus)) func(*Lines, *v1.Pod) {
	return func(l *Lines, p *v1.Pod) {
		of.statuses(l, p, func(s *v1.ContainerStatus) { write(l, s) })
	}
}

// sidecar tells whether an init container is a native sidecar, which runs beside
// the containers
// (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/).
func sidecar(c *v1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways
}

func namedSidecar(p *v1.Pod, name string) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name == name {
			return sidecar(c)
		}
	}
	return false
}

// podCompletion leaves out containers of which it is not known when they ended.
func podCompletion(l *Lines, p *v1.Pod) {
	last := 0.0
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil {
			last = max(last, seconds(t.FinishedAt.Time))
		}
	}
	if last > 0 {
		l.Add(last)
	}
}

func containerInfo(l *Lines, p *v1.Pod) {
	mainContainers.specs(l, p, func(c *v1.Container, statuses []v1.ContainerStatus) {
		for i := range statuses {
			if s := &statuses[i]; s.Name == c.Name {
				l.Add(1, s.Name, c.Image, s.Image, s.ImageID, s.ContainerID)
			}
		}
	})
}

func initContainerInfo(l *Lines, p *v1.Pod) {
	initContainers.specs(l, p, func(c *v1.Container, statuses []v1.ContainerStatus) {
		for i := range statuses {
			if s := &statuses[i]; s.Name == c.Name {
				l.Add(1, s.Name, c.Image, s.Image, s.ImageID, s.ContainerID, word(c.RestartPolicy))
			}
		}
	})
}

// specAmounts makes a function that writes what containers should have.
func specAmounts(of containers, amounts func(*v1.ResourceRequirements) v1.ResourceList) func(*Lines, *v1.Pod) {
	return func(l *Lines, p *v1.Pod) {
		of.specs(l, p, func(c *v1.Container, _ []v1.ContainerStatus) {
			containerAmounts(l, c.Name, p.Spec.NodeName, amounts(&c.Resources))
		})
	}
}

// statusAmounts makes a function that writes what containers have. The two differ
// while a container is resized, and where the node has no room for the resize.
func statusAmounts(of containers, amounts func(*v1.ResourceRequirements) v1.ResourceList) func(*Lines, *v1.Pod) {
	return func(l *Lines, p *v1.Pod) {
		of.statuses(l, p, func(s *v1.ContainerStatus) {
			if s.Resources != nil {
				containerAmounts(l, s.Name, p.Spec.NodeName, amounts(s.Resources))
			}
		})
	}
}

func limitsOf(r *v1.ResourceRequirements) v1.ResourceList   { return r.Limits }
func requestsOf(r *v1.ResourceRequirements) v1.ResourceList { return r.Requests }

func containerAmounts(l *Lines, container, node string, list v1.ResourceList) {
	var buf [8]v1.ResourceName
	for _, name := range resourceNames(list, buf[:0]) {
		switch label, unit := ofResource(name); unit {
		case "":
		case "core":
			l.Milli(list[name], container, node, label, unit)
		default:
			l.Whole(list[name], container, node, label, unit)
		}
	}
}

// containerStarted writes year 1 where a state does not say when it started.
func containerStarted(l *Lines, s *v1.ContainerStatus) {
	switch {
	case s.State.Running != nil:
		l.Time(s.State.Running.StartedAt, s.Name)
	case s.State.Terminated != nil:
		l.Time(s.State.Terminated.StartedAt, s.Name)
	}
}

func containerLastReason(l *Lines, s *v1.ContainerStatus) {
	if t := s.LastTerminationState.Terminated; t != nil {
		l.Add(1, s.Name, t.Reason)
	}
}

func containerLastExitCode(l *Lines, s *v1.ContainerStatus) {
	if t := s.LastTerminationState.Terminated; t != nil {
		l.Add(float64(t.ExitCode), s.Name)
	}
}

func containerLastFinished(l *Lines, s *v1.ContainerStatus) {
	if t := s.LastTerminationState.Terminated; t != nil {
		l.Time(t.FinishedAt, s.Name)
	}
}

func containerReady(l *Lines, s *v1.ContainerStatus) { l.Bool(s.Ready, s.Name) }

func containerRestarts(l *Lines, s *v1.ContainerStatus) { l.Add(float64(s.RestartCount), s.Name) }

func containerRunning(l *Lines, s *v1.ContainerStatus) { l.Bool(s.State.Running != nil, s.Name) }

func containerTerminated(l *Lines, s *v1.ContainerStatus) { l.Bool(s.State.Terminated != nil, s.Name) }

func containerTerminatedReason(l *Lines, s *v1.ContainerStatus) {
	if t := s.State.Terminated; t != nil {
		l.Add(1, s.Name, t.Reason)
	}
}

func containerWaiting(l *Lines, s *v1.ContainerStatus) { l.Bool(s.State.Waiting != nil, s.Name) }

func containerWaitingReason(l *Lines, s *v1.ContainerStatus) {
	if w := s.State.Waiting; w != nil {
		l.Add(1, s.Name, w.Reason)
	}
}
