package kube

import (
	"net/netip"
	"slices"

	"k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods. What is told of their containers is in pod_containers.go.
var pods = resource{
	name: "pods", version: v1.SchemeGroupVersion, kind: "Pod", namespaced: true, on: true,
	labels: []string{"namespace", "pod", "uid"},
	families: []family{
		gauge("kube_pod_completion_time", "When the last container ended that has, in seconds since the epoch.", podCompletion),
		gauge("kube_pod_container_info", "A container's image, wanted and run, and its id; always 1.", containerInfo,
			"container", "image_spec", "image", "image_id", "container_id"),
		gauge("kube_pod_container_resource_limits", "Amount of a resource that a container cannot exceed.",
			specAmounts(mainContainers, limitsOf), "container", "node", "resource", "unit"),
		gauge("kube_pod_container_resource_requests", "Amount of a resource that a container is promised.",
			specAmounts(mainContainers, requestsOf), "container", "node", "resource", "unit"),
		gauge("kube_pod_container_state_started", "When a container started that runs or has ended, in seconds since the epoch.",
			eachStatus(mainContainers, containerStarted), "container"),
		gauge("kube_pod_container_status_last_terminated_reason", "Why a container ended the last time it did; always 1.",
			eachStatus(mainContainers, containerLastReason), "container", "reason"),
		gauge("kube_pod_container_status_last_terminated_exitcode", "Exit code with which a container ended the last time it did.",
			eachStatus(mainContainers, containerLastExitCode), "container"),
		gauge("kube_pod_container_status_last_terminated_timestamp", "When a container ended the last time it did, in seconds since the epoch.",
			eachStatus(mainContainers, containerLastFinished), "container"),
		gauge("kube_pod_container_status_ready", "Whether a container passes its readiness probe.",
			eachStatus(mainContainers, containerReady), "container"),
		counter("kube_pod_container_status_restarts_total", "Times a container was started again.",
			eachStatus(mainContainers, containerRestarts), "container"),
		gauge("kube_pod_container_status_running", "Whether a container runs.",
			eachStatus(mainContainers, containerRunning), "container"),
		gauge("kube_pod_container_status_terminated", "Whether a container has ended.",
			eachStatus(mainContainers, containerTerminated), "container"),
		gauge("kube_pod_container_status_terminated_reason", "Why a container has ended; always 1.",
			eachStatus(mainContainers, containerTerminatedReason), "container", "reason"),
		gauge("kube_pod_container_status_waiting", "Whether a container waits to be started.",
			eachStatus(mainContainers, containerWaiting), "container"),
		gauge("kube_pod_container_status_waiting_reason", "Why a container waits to be started; always 1.",
			eachStatus(mainContainers, containerWaitingReason), "container", "reason"),
		created("kube_pod_created", "When the pod was made, in seconds since the epoch."),
		deleted("kube_pod_deletion_timestamp", "When the pod that is being deleted is to be gone, in seconds since the epoch."),
		gauge("kube_pod_info", "Where the pod runs and what made it; always 1.", podInfo,
			"host_ip", "pod_ip", "node", "created_by_kind", "created_by_name", "priority_class", "host_network"),
		gauge("kube_pod_ips", "An address of the pod; always 1.", podIPs, "ip", "ip_family"),
		gauge("kube_pod_init_container_info", "An init container's image, wanted and run, and its id; always 1.", initContainerInfo,
			"container", "image_spec", "image", "image_id", "container_id", "restart_policy"),
		gauge("kube_pod_init_container_resource_limits", "Amount of a resource that an init container cannot exceed.",
			specAmounts(initContainers, limitsOf), "container", "node", "resource", "unit"),
		gauge("kube_pod_init_container_resource_requests", "Amount of a resource that an init container is promised.",
			specAmounts(initContainers, requestsOf), "container", "node", "resource", "unit"),
		gauge("kube_pod_init_container_state_started", "When an init container started that runs or has ended, in seconds since the epoch.",
			eachStatus(initContainers, containerStarted), "container"),
		gauge("kube_pod_init_container_status_last_terminated_reason", "Why an init container ended the last time it did; always 1.",
			eachStatus(initContainers, containerLastReason), "container", "reason"),
		gauge("kube_pod_init_container_status_last_terminated_exitcode", "Exit code with which an init container ended the last time it did.",
			eachStatus(initContainers, containerLastExitCode), "container"),
		gauge("kube_pod_init_container_status_last_terminated_timestamp", "When an init container ended the last time it did, in seconds since the epoch.",
			eachStatus(initContainers, containerLastFinished), "container"),
		gauge("kube_pod_init_container_status_ready", "Whether an init container is done, or passes its readiness probe.",
			eachStatus(initContainers, containerReady), "container"),
		counter("kube_pod_init_container_status_restarts_total", "Times an init container was started again.",
			eachStatus(initContainers, containerRestarts), "container"),
		gauge("kube_pod_init_container_status_running", "Whether an init container runs.",
			eachStatus(initContainers, containerRunning), "container"),
		gauge("kube_pod_init_container_status_terminated", "Whether an init container has ended.",
			eachStatus(initContainers, containerTerminated), "container"),
		gauge("kube_pod_init_container_status_terminated_reason", "Why an init container has ended; always 1.",
			eachStatus(initContainers, containerTerminatedReason), "container", "reason"),
		gauge("kube_pod_init_container_status_waiting", "Whether an init container waits to be started.",
			eachStatus(initContainers, containerWaiting), "container"),
		gauge("kube_pod_init_container_status_waiting_reason", "Why an init container waits to be started; always 1.",
			eachStatus(initContainers, containerWaitingReason), "container", "reason"),
		annotations("kube_pod_annotations", "The pod's annotations that are allowed, as labels; always 1."),
		labels("kube_pod_labels", "The pod's labels that are allowed, as labels; always 1."),
		gauge("kube_pod_overhead_cpu_cores", "CPU cores that running the pod takes beside its containers.", podOverheadCPU),
		gauge("kube_pod_overhead_memory_bytes", "Bytes of memory that running the pod takes beside its containers.", podOverheadMemory),
		owner("kube_pod_owner", "What the pod belongs to; always 1."),
		gauge("kube_pod_resourceclaim_info", "A claim of devices that the pod names, and the object made for it; always 1.", podResourceClaims,
			"claim_name", "resourceclaim_name", "resourceclaim_template_name"),
		gauge("kube_pod_restart_policy", "When containers of the pod that ended are started again; always 1.",
			func(l *Lines, p *v1.Pod) { l.Add(1, string(p.Spec.RestartPolicy)) }, "type"),
		gauge("kube_pod_runtimeclass_name_info", "The runtime class that the pod asks for; always 1.", podRuntimeClass, "runtimeclass_name"),
		gauge("kube_pod_spec_volumes_persistentvolumeclaims_info", "A volume of the pod that is a claim; always 1.", podClaims,
			"volume", "persistentvolumeclaim", "ephemeral"),
		gauge("kube_pod_spec_volumes_persistentvolumeclaims_readonly", "Whether the pod mounts a claim only to read it.", podClaimsReadOnly,
			"volume", "persistentvolumeclaim", "ephemeral"),
		gauge("kube_pod_start_time", "When the kubelet took the pod, in seconds since the epoch.",
			func(l *Lines, p *v1.Pod) { l.TimeIf(p.Status.StartTime) }),
		gauge("kube_pod_status_phase", "1 for the phase that the pod is in, 0 for the others.", podPhase, "phase"),
		gauge("kube_pod_status_qos_class", "1 for the pod's class of service, 0 for the others.", podQOS, "qos_class"),
		gauge("kube_pod_status_ready", "1 for whether the pod is ready, 0 for the others.", podCondition(v1.PodReady), "condition"),
		gauge("kube_pod_status_ready_time", "When the pod that is ready became so, in seconds since the epoch.",
			podConditionTime(v1.PodReady, v1.ConditionTrue)),
		gauge("kube_pod_status_initialized_time", "When the pod's init containers were done, in seconds since the epoch.",
			podConditionTime(v1.PodInitialized, v1.ConditionTrue)),
		gauge("kube_pod_status_container_ready_time", "When all containers of the pod became ready, in seconds since the epoch.",
			podConditionTime(v1.ContainersReady, v1.ConditionTrue)),
		gauge("kube_pod_status_reason", "Why the pod is in trouble; always 1, and nothing where it is not.", podReasons, "reason"),
		gauge("kube_pod_status_disruption_reason", "Why the pod is being put off its node; always 1.", podDisruptions, "reason"),
		gauge("kube_pod_status_scheduled", "1 for whether the pod has a node, 0 for the others.", podCondition(v1.PodScheduled), "condition"),
		gauge("kube_pod_status_scheduled_time", "When the pod got a node, in seconds since the epoch.",
			podConditionTime(v1.PodScheduled, v1.ConditionTrue)),
		gauge("kube_pod_status_unschedulable", "1 where no node was found for the pod.", podUnschedulable),
		gauge("kube_pod_status_unscheduled_time", "Since when no node was found for the pod, in seconds since the epoch.",
			podConditionTime(v1.PodScheduled, v1.ConditionFalse)),
		gauge("kube_pod_tolerations", "A taint of nodes that the pod tolerates; always 1.", podTolerations,
			"key", "operator", "value", "effect", "toleration_seconds"),
		gauge("kube_pod_nodeselectors", "Labels of the nodes that the pod wants, as labels; always 1.", podNodeSelector).optional(),
		gauge("kube_pod_service_account", "The service account that the pod runs as; always 1.",
			func(l *Lines, p *v1.Pod) { l.Add(1, p.Spec.ServiceAccountName) }, "service_account"),
		gauge("kube_pod_scheduler", "The scheduler that finds a node for the pod; always 1.",
			func(l *Lines, p *v1.Pod) { l.Add(1, p.Spec.SchedulerName) }, "name"),

		// What kube-state-metrics does not have.
		gauge("kube_pod_container_status_resource_limits", "Amount of a resource that a container cannot exceed as it runs, which a resize brings to what is wanted.",
			statusAmounts(mainContainers, limitsOf), "container", "node", "resource", "unit").optional(),
		gauge("kube_pod_container_status_resource_requests", "Amount of a resource that a container is promised as it runs, which a resize brings to what is wanted.",
			statusAmounts(mainContainers, requestsOf), "container", "node", "resource", "unit").optional(),
		gauge("kube_pod_init_container_status_resource_limits", "Amount of a resource that an init container cannot exceed as it runs, which a resize brings to what is wanted.",
			statusAmounts(initContainers, limitsOf), "container", "node", "resource", "unit").optional(),
		gauge("kube_pod_init_container_status_resource_requests", "Amount of a resource that an init container is promised as it runs, which a resize brings to what is wanted.",
			statusAmounts(initContainers, requestsOf), "container", "node", "resource", "unit").optional(),
	},
	unread: []unread{
		{fields: "metadata.annotations", unless: "kube_pod_annotations"},
		{fields: "spec.{containers,initContainers}.{command,args,workingDir,ports,envFrom,env,volumeMounts,volumeDevices,livenessProbe,readinessProbe," +
			"startupProbe,lifecycle,terminationMessagePath,terminationMessagePolicy,imagePullPolicy,securityContext}"},
		{fields: "spec.volumes.volumeSource.{hostPath,emptyDir,secret,nfs,downwardAPI,configMap,projected,csi}"},
		{fields: "spec.{ephemeralContainers,affinity,securityContext,imagePullSecrets,hostAliases,dnsConfig,readinessGates,topologySpreadConstraints}"},
		{fields: "status.{containerStatuses,initContainerStatuses}.{allocatedResources,volumeMounts,user,allocatedResourcesStatus} status.ephemeralContainerStatuses"},
		{fields: "status.{containerStatuses,initContainerStatuses}.resources", unless: "_status_resource_"},
	},
}

func podInfo(l *Lines, p *v1.Pod) {
	var kind, name string
	if c := meta.GetControllerOfNoCopy(p); c != nil {
		kind, name = c.Kind, c.Name
	}
	network := "false"
	if p.Spec.HostNetwork {
		network = "true"
	}
	l.Add(1, p.Status.HostIP, p.Status.PodIP, p.Spec.NodeName, kind, name, p.Spec.PriorityClassName, network)
}

// podIPs leaves out what is not an address.
func podIPs(l *Lines, p *v1.Pod) {
	for i := range p.Status.PodIPs {
		text := p.Status.PodIPs[i].IP
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil:
		case a.Unmap().Is4():
			l.Add(1, text, "4")
		default:
			l.Add(1, text, "6")
		}
	}
}

func podOverheadCPU(l *Lines, p *v1.Pod) {
	if q, ok := p.Spec.Overhead[v1.ResourceCPU]; ok {
		l.Milli(q)
	}
}

func podOverheadMemory(l *Lines, p *v1.Pod) {
	if q, ok := p.Spec.Overhead[v1.ResourceMemory]; ok {
		l.Whole(q)
	}
}

// podResourceClaims leaves the name of a claim empty that is still to be made from
// its template.
func podResourceClaims(l *Lines, p *v1.Pod) {
	for i := range p.Spec.ResourceClaims {
		c := &p.Spec.ResourceClaims[i]
		if c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil {
			continue
		}
		name := c.ResourceClaimName
		if name == nil {
			for j := range p.Status.ResourceClaimStatuses {
				if s := &p.Status.ResourceClaimStatuses[j]; s.Name == c.Name {
					name = s.ResourceClaimName
				}
			}
		}
		l.Add(1, c.Name, word(name), word(c.ResourceClaimTemplateName))
	}
}

func podRuntimeClass(l *Lines, p *v1.Pod) {
	if p.Spec.RuntimeClassName != nil {
		l.Add(1, *p.Spec.RuntimeClassName)
	}
}

func podClaims(l *Lines, p *v1.Pod) {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			l.Add(1, v.Name, v.PersistentVolumeClaim.ClaimName, "false")
		case v.Ephemeral != nil:
			l.Add(1, v.Name, ephemeralClaim(p, v), "true")
		}
	}
}

func podClaimsReadOnly(l *Lines, p *v1.Pod) {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			l.Bool(v.PersistentVolumeClaim.ReadOnly, v.Name, v.PersistentVolumeClaim.ClaimName, "false")
		case v.Ephemeral != nil:
			l.Add(0, v.Name, ephemeralClaim(p, v), "true") // it cannot be read-only
		}
	}
}

// ephemeralClaim is the claim that is made for a volume of a pod, which goes with
// the pod (k8s.io/component-helpers/storage/ephemeral, VolumeClaimName).
func ephemeralClaim(p *v1.Pod, v *v1.Volume) string { return p.Name + "-" + v.Name }

var podPhases = []string{string(v1.PodPending), string(v1.PodSucceeded), string(v1.PodFailed), string(v1.PodUnknown), string(v1.PodRunning)}

func podPhase(l *Lines, p *v1.Pod) {
	if p.Status.Phase != "" {
		l.OneOf(podPhases, string(p.Status.Phase))
	}
}

var qosClasses = []string{string(v1.PodQOSBestEffort), string(v1.PodQOSBurstable), string(v1.PodQOSGuaranteed)}

func podQOS(l *Lines, p *v1.Pod) {
	if p.Status.QOSClass != "" {
		l.OneOf(qosClasses, string(p.Status.QOSClass))
	}
}

// podCondition makes a function that writes the status of one condition.
func podCondition(of v1.PodConditionType) func(*Lines, *v1.Pod) {
	return func(l *Lines, p *v1.Pod) {
		for i := range p.Status.Conditions {
			if c := &p.Status.Conditions[i]; c.Type == of {
				l.Status(string(c.Status))
			}
		}
	}
}

// podConditionTime makes a function that writes since when a condition has a status.
func podConditionTime(of v1.PodConditionType, status v1.ConditionStatus) func(*Lines, *v1.Pod) {
	return func(l *Lines, p *v1.Pod) {
		for i := range p.Status.Conditions {
			if c := &p.Status.Conditions[i]; c.Type == of && c.Status == status {
				l.Time(c.LastTransitionTime)
			}
		}
	}
}

func podUnschedulable(l *Lines, p *v1.Pod) {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == v1.PodScheduled && c.Status == v1.ConditionFalse {
			l.Add(1)
		}
	}
}

// podTroubles are the reasons that kube_pod_status_reason knows.
var podTroubles = []string{"Evicted", "NodeAffinity", "NodeLost", v1.PodReasonPreemptionByScheduler, v1.PodReasonSchedulingGated, "Shutdown",
	v1.PodReasonTerminationByKubelet, "UnexpectedAdmissionError"}

// podReasons looks for the reasons that it knows in the pod's own, its conditions'
// and its ended containers'. Only the pod's own may be another one.
func podReasons(l *Lines, p *v1.Pod) {
	for _, reason := range podTroubles {
		if podHasReason(p, reason) {
			l.Add(1, reason)
		}
	}
	if p.Status.Reason != "" && !slices.Contains(podTroubles, p.Status.Reason) {
		l.Add(1, "Other")
	}
}

func podHasReason(p *v1.Pod, reason string) bool {
	if p.Status.Reason == reason {
		return true
	}
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Reason == reason {
			return true
		}
	}
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil && t.Reason == reason {
			return true
		}
	}
	return false
}

// podDisruptionReasons are those of Kubernetes' condition DisruptionTarget
// (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/).
var podDisruptionReasons = []string{v1.PodReasonPreemptionByScheduler, "DeletionByTaintManager", "EvictionByEvictionAPI", "DeletionByPodGC",
	v1.PodReasonTerminationByKubelet}

func podDisruptions(l *Lines, p *v1.Pod) {
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		switch {
		case c.Type != v1.DisruptionTarget:
		case slices.Contains(podDisruptionReasons, c.Reason):
			l.Add(1, c.Reason)
		default:
			l.Add(1, "Other")
		}
	}
}

func podTolerations(l *Lines, p *v1.Pod) {
	for i := range p.Spec.Tolerations {
		t, seconds := &p.Spec.Tolerations[i], ""
		if t.TolerationSeconds != nil {
			seconds = l.Digits(*t.TolerationSeconds)
		}
		l.Add(1, t.Key, string(t.Operator), t.Value, string(t.Effect), seconds)
	}
}

func podNodeSelector(l *Lines, p *v1.Pod) {
	l.AddPairs(1, promLabels("nodeselector_", p.Spec.NodeSelector, []string{"*"}))
}
