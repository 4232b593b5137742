package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// state is what a pod is in. Of 100 pods 4 have completed, 1 cannot get an image, 2
// crash again and again, the rest run.
type state uint8

const (
	runs state = iota
	completed
	noImage
	crashes
)

func stateOf(pod int) state {
	switch n := pod % 100; {
	case n >= 96:
		return completed
	case n == 50:
		return noImage
	case n == 20 || n == 70:
		return crashes
	}
	return runs
}

// workloadOf is the number of the workload that a pod belongs to.
func workloadOf(size Size, pod int) int {
	if size.Other == 0 {
		return pod / 10
	}
	return pod % size.Other
}

// podName is the name and namespace of the i-th pod.
func podName(size Size, i int) (namespaceName, name string) {
	w, r := workloadOf(size, i), random("pod name", i)
	if stateOf(i) == completed {
		return namespace(w), fmt.Sprintf("%s-%d-%s", jobName(w), i, suffix(r, 5))
	}
	return namespace(w), fmt.Sprintf("%s-%s%d", replicaSetName(w), suffix(r, 5), i)
}

// Pod is the i-th pod of a fleet, as Load makes it; what the API server adds is missing.
func Pod(size Size, i int) *core.Pod { return newPod(size, i) }

// newPod is the i-th pod, as a replica set or a job and the scheduler leave it, with
// the status that a kubelet of version 1.36 writes.
func newPod(size Size, i int) *core.Pod {
	w, node, r, s := workloadOf(size, i), i%size.Nodes, random("pod", i), stateOf(i)
	p, restart := &core.Pod{ObjectMeta: podMeta(size, i)}, core.RestartPolicyAlways
	if s == completed {
		restart = core.RestartPolicyOnFailure
	}
	p.Spec = podSpec(w)
	p.Spec.NodeName, p.Spec.RestartPolicy = nodeName(node), restart
	for c := range p.Spec.Containers {
		p.Spec.Containers[c].VolumeMounts = append(p.Spec.Containers[c].VolumeMounts, tokenMount)
	}
	p.Spec.InitContainers[0].VolumeMounts = append(p.Spec.InitContainers[0].VolumeMounts, tokenMount)
	p.Spec.Volumes = append(p.Spec.Volumes, tokenVolume())
	p.Status = podStatus(p, i, node, s, r)
	return p
}

// podMeta is the metadata of the i-th pod.
func podMeta(size Size, i int) meta.ObjectMeta {
	w, node := workloadOf(size, i), i%size.Nodes
	m := about(w, "")
	m.Namespace, m.Name = podName(size, i)
	m.Labels["pod-template-hash"] = suffix(random("template", w), 10)
	m.Labels[core.LabelTopologyZone], m.Labels[core.LabelTopologyRegion] = zone(node), "eu-central-1"
	m.Annotations = map[string]string{
		"prometheus.io/scrape": "true", "prometheus.io/port": "9102",
		"checksum/config": hex(random("configuration", w), 64),
	}
	m.OwnerReferences = ownedBy("apps/v1", "ReplicaSet", replicaSetName(w), w)
	if stateOf(i) == completed {
		m.OwnerReferences = ownedBy("batch/v1", "Job", jobName(w), w)
	}
	return m
}

var tokenMount = core.VolumeMount{Name: "kube-api-access", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}

// tokenVolume is what the service account admission adds to a pod.
func tokenVolume() core.Volume {
	seconds, mode := int64(3607), int32(0o644)
	return core.Volume{Name: tokenMount.Name, VolumeSource: core.VolumeSource{Projected: &core.ProjectedVolumeSource{DefaultMode: &mode, Sources: []core.VolumeProjection{
		{ServiceAccountToken: &core.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
		{ConfigMap: &core.ConfigMapProjection{LocalObjectReference: core.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []core.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
		{DownwardAPI: &core.DownwardAPIProjection{Items: []core.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &core.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
	}}}}
}

// podSpec is the pod template of the i-th workload.
func podSpec(i int) core.PodSpec {
	grace := int64(30)
	return core.PodSpec{
		ServiceAccountName: app(i), TerminationGracePeriodSeconds: &grace,
		InitContainers: []core.Container{{
			Name: "migrate", Image: image(i, "migrate"), Command: []string{"/bin/migrate", "--to=latest"},
			Resources: resources("50m", "64Mi", "", "128Mi"),
			Env:       environment(i, 4),
		}},
		Containers: []core.Container{
			{
				Name: "app", Image: image(i, "app"), Args: []string{"--listen=:8080", "--metrics=:9102", "--shutdown-delay=5s"},
				Ports:          []core.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9102}},
				Resources:      resources(pick(i, "100m", "250m", "500m"), pick(i, "128Mi", "256Mi", "512Mi"), pick(i, "1", "2"), pick(i, "256Mi", "512Mi", "1Gi")),
				Env:            environment(i, 12),
				LivenessProbe:  probe("/healthz"),
				ReadinessProbe: probe("/readyz"),
				VolumeMounts:   []core.VolumeMount{{Name: "config", MountPath: "/etc/app", ReadOnly: true}, {Name: "scratch", MountPath: "/tmp"}, {Name: "data", MountPath: "/var/lib/app"}},
			},
			{
				Name: "mesh", Image: image(i%7, "mesh-proxy"), Args: []string{"proxy", "sidecar", "--concurrency=2"},
				Ports:        []core.ContainerPort{{Name: "mesh", ContainerPort: 15090}},
				Resources:    resources("100m", "128Mi", "2", "1Gi"),
				Env:          environment(i, 8),
				VolumeMounts: []core.VolumeMount{{Name: "scratch", MountPath: "/var/run/mesh"}},
			},
			{
				Name: "logs", Image: image(i%3, "log-shipper"),
				Resources:    resources("20m", "32Mi", "", "64Mi"),
				Env:          environment(i, 3),
				VolumeMounts: []core.VolumeMount{{Name: "scratch", MountPath: "/var/log/app", ReadOnly: true}, {Name: "credentials", MountPath: "/etc/logs", ReadOnly: true}},
			},
		},
		Volumes: []core.Volume{
			{Name: "config", VolumeSource: core.VolumeSource{ConfigMap: &core.ConfigMapVolumeSource{LocalObjectReference: core.LocalObjectReference{Name: app(i)}}}},
			{Name: "credentials", VolumeSource: core.VolumeSource{Secret: &core.SecretVolumeSource{SecretName: app(i)}}},
			{Name: "scratch", VolumeSource: core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}},
			{Name: "data", VolumeSource: core.VolumeSource{PersistentVolumeClaim: &core.PersistentVolumeClaimVolumeSource{ClaimName: app(i) + "-data"}}},
		},
	}
}

func image(i int, name string) string {
	return fmt.Sprintf("registry.fleet.example/%s/%s:v%d.%d.%d", namespace(i), name, i%4, i%23, i%11)
}

func resources(cpu, memory, cpuLimit, memoryLimit string) core.ResourceRequirements {
	r := core.ResourceRequirements{
		Requests: core.ResourceList{core.ResourceCPU: resource.MustParse(cpu), core.ResourceMemory: resource.MustParse(memory)},
		Limits:   core.ResourceList{core.ResourceMemory: resource.MustParse(memoryLimit)},
	}
	if cpuLimit != "" {
		r.Limits[core.ResourceCPU] = resource.MustParse(cpuLimit)
	}
	return r
}

func environment(i, n int) []core.EnvVar {
	var vars []core.EnvVar
	for v := range n {
		vars = append(vars, core.EnvVar{Name: fmt.Sprintf("APP_SETTING_%02d", v), Value: fmt.Sprintf("%s.%s.svc.cluster.local:%d", app(i+v), namespace(i+v), 8000+v)})
	}
	return append(vars, core.EnvVar{Name: "POD_IP", ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}}})
}

func probe(path string) *core.Probe {
	return &core.Probe{
		ProbeHandler:   core.ProbeHandler{HTTPGet: &core.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		TimeoutSeconds: 2, PeriodSeconds: 10,
	}
}

// podStatus is the status of the i-th pod.
func podStatus(p *core.Pod, i, node int, s state, r *rand.Rand) core.PodStatus {
	scheduled := past(r)
	later := func(seconds int) meta.Time {
		return meta.Time{Time: scheduled.Add(time.Duration(seconds) * time.Second)}
	}
	started := later(1)
	status := core.PodStatus{
		Phase: core.PodRunning, ObservedGeneration: 1, StartTime: &started,
		HostIP: nodeIP(node), HostIPs: []core.HostIP{{IP: nodeIP(node)}},
		PodIP: podIP(i), PodIPs: []core.PodIP{{IP: podIP(i)}},
		InitContainerStatuses: []core.ContainerStatus{terminated(p, &p.Spec.InitContainers[0], r, later(4), later(9))},
	}
	for c := range p.Spec.Containers {
		container := &p.Spec.Containers[c]
		var cs core.ContainerStatus
		switch {
		case s == completed:
			cs = terminated(p, container, r, later(12), later(300+r.IntN(3000)))
		case s == noImage && c == 0:
			cs = waiting(container, "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", container.Image))
		default:
			cs = running(p, container, r, later(12))
			cs.RestartCount = int32(max(0, r.IntN(12)-8))
			if s == crashes && c == 0 {
				crash(&cs, later(3600))
			}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, cs)
	}
	ready, reason, message := core.ConditionTrue, "", ""
	switch s {
	case completed:
		status.Phase, ready, reason = core.PodSucceeded, core.ConditionFalse, "PodCompleted"
	case noImage:
		status.Phase = core.PodPending
		fallthrough
	case crashes:
		ready, reason, message = core.ConditionFalse, "ContainersNotReady", "containers with unready status: [app]"
	}
	status.Conditions = []core.PodCondition{
		{Type: core.PodReadyToStartContainers, Status: core.ConditionTrue, LastTransitionTime: later(3), ObservedGeneration: 1},
		{Type: core.PodInitialized, Status: core.ConditionTrue, LastTransitionTime: later(10), ObservedGeneration: 1},
		{Type: core.PodReady, Status: ready, Reason: reason, Message: message, LastTransitionTime: later(30), ObservedGeneration: 1},
		{Type: core.ContainersReady, Status: ready, Reason: reason, Message: message, LastTransitionTime: later(30), ObservedGeneration: 1},
		{Type: core.PodScheduled, Status: core.ConditionTrue, LastTransitionTime: scheduled, ObservedGeneration: 1},
	}
	return status
}

// running is the status of a container that runs and is ready.
func running(p *core.Pod, c *core.Container, r *rand.Rand, since meta.Time) core.ContainerStatus {
	yes := true
	s := core.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: c.Image[:len("registry.fleet.example")] + "/" + c.Name + "@sha256:" + hex(r, 64),
		ContainerID: "containerd://" + hex(r, 64),
		Ready:       true, Started: &yes,
		State:              core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: since}},
		AllocatedResources: c.Resources.Requests, Resources: &c.Resources,
	}
	for _, m := range c.VolumeMounts {
		v := core.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			disabled := core.RecursiveReadOnlyDisabled
			v.RecursiveReadOnly = &disabled
		}
		s.VolumeMounts = append(s.VolumeMounts, v)
	}
	return s
}

// terminated is the status of a container that has done its work.
func terminated(p *core.Pod, c *core.Container, r *rand.Rand, from, to meta.Time) core.ContainerStatus {
	s := running(p, c, r, from)
	no := false
	s.Started, s.Ready = &no, len(p.Spec.InitContainers) > 0 && c.Name == p.Spec.InitContainers[0].Name
	s.State = core.ContainerState{Terminated: &core.ContainerStateTerminated{Reason: "Completed", StartedAt: from, FinishedAt: to, ContainerID: s.ContainerID}}
	return s
}

// waiting is the status of a container that never ran.
func waiting(c *core.Container, reason, message string) core.ContainerStatus {
	no := false
	return core.ContainerStatus{
		Name: c.Name, Image: c.Image, Started: &no,
		State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}},
	}
}

// crash lets a container that runs have failed at the given time.
func crash(s *core.ContainerStatus, at meta.Time) {
	no := false
	var since meta.Time
	if s.State.Running != nil {
		since = s.State.Running.StartedAt
	}
	s.Started, s.Ready = &no, false
	s.RestartCount++
	s.LastTerminationState = core.ContainerState{Terminated: &core.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: since, FinishedAt: at, ContainerID: s.ContainerID}}
	s.State = core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container=" + s.Name}}
}
