package kube

import "testing"

func TestPodContainers(t *testing.T) {
	const sidecars = `{"spec": {"nodeName": "n", "containers": [{"name": "web", "image": "w:1", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1m"}}}],
		"initContainers": [{"name": "log", "image": "l:1", "restartPolicy": "Always", "resources": {"requests": {"cpu": "2m"}}}, {"name": "once", "image": "o:1", "resources": {"requests": {"cpu": "3m"}}}]},
		"status": {"containerStatuses": [{"name": "web", "image": "w:1"}],
		"initContainerStatuses": [{"name": "log", "image": "l:1", "restartCount": 2}, {"name": "once", "image": "o:1"}, {"name": "strange"}]}}`
	for name, tc := range map[string]struct {
		options   Options
		pod, want string
		families  []string
	}{
		"states": {Options{}, `{"status": {"containerStatuses": [
				{"name": "w", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 2000000, "lastState": {"terminated": {"exitCode": -1, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:00Z"}}},
				{"name": "r", "state": {"running": {}}, "ready": true},
				{"name": "t", "state": {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}}},
				{"name": "u", "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}},
				{"name": "r", "state": {}}]}}`, `
			kube_pod_completion_time{namespace="a",pod="p",uid="u"} 1767225601
			kube_pod_container_state_started{namespace="a",pod="p",uid="u",container="r"} -62135596800
			kube_pod_container_state_started{namespace="a",pod="p",uid="u",container="t"} 1767225600
			kube_pod_container_state_started{namespace="a",pod="p",uid="u",container="u"} -62135596800
			kube_pod_container_status_last_terminated_reason{namespace="a",pod="p",uid="u",container="w",reason="OOMKilled"} 1
			kube_pod_container_status_last_terminated_exitcode{namespace="a",pod="p",uid="u",container="w"} -1
			kube_pod_container_status_last_terminated_timestamp{namespace="a",pod="p",uid="u",container="w"} 1767225600
			kube_pod_container_status_ready{namespace="a",pod="p",uid="u",container="w"} 0
			kube_pod_container_status_ready{namespace="a",pod="p",uid="u",container="r"} 1
			kube_pod_container_status_ready{namespace="a",pod="p",uid="u",container="t"} 0
			kube_pod_container_status_ready{namespace="a",pod="p",uid="u",container="u"} 0
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="w"} 2000000
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="r"} 0
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="t"} 0
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="u"} 0
			kube_pod_container_status_running{namespace="a",pod="p",uid="u",container="w"} 0
			kube_pod_container_status_running{namespace="a",pod="p",uid="u",container="r"} 1
			kube_pod_container_status_running{namespace="a",pod="p",uid="u",container="t"} 0
			kube_pod_container_status_running{namespace="a",pod="p",uid="u",container="u"} 0
			kube_pod_container_status_terminated{namespace="a",pod="p",uid="u",container="w"} 0
			kube_pod_container_status_terminated{namespace="a",pod="p",uid="u",container="r"} 0
			kube_pod_container_status_terminated{namespace="a",pod="p",uid="u",container="t"} 1
			kube_pod_container_status_terminated{namespace="a",pod="p",uid="u",container="u"} 1
			kube_pod_container_status_terminated_reason{namespace="a",pod="p",uid="u",container="t",reason=""} 1
			kube_pod_container_status_terminated_reason{namespace="a",pod="p",uid="u",container="u",reason="ContainerStatusUnknown"} 1
			kube_pod_container_status_waiting{namespace="a",pod="p",uid="u",container="w"} 1
			kube_pod_container_status_waiting{namespace="a",pod="p",uid="u",container="r"} 0
			kube_pod_container_status_waiting{namespace="a",pod="p",uid="u",container="t"} 0
			kube_pod_container_status_waiting{namespace="a",pod="p",uid="u",container="u"} 0
			kube_pod_container_status_waiting_reason{namespace="a",pod="p",uid="u",container="w",reason="CrashLoopBackOff"} 1
		`, []string{"kube_pod_completion_time", "kube_pod_container_state_started", "kube_pod_container_status_last_terminated_reason", "kube_pod_container_status_last_terminated_exitcode",
			"kube_pod_container_status_last_terminated_timestamp", "kube_pod_container_status_ready", "kube_pod_container_status_restarts_total", "kube_pod_container_status_running",
			"kube_pod_container_status_terminated", "kube_pod_container_status_terminated_reason", "kube_pod_container_status_waiting", "kube_pod_container_status_waiting_reason"}},
		"images of containers that both have": {Options{}, `{"spec": {"containers": [{"name": "x", "image": "i:1"}, {"name": "y", "image": "i:2"}]},
				"status": {"containerStatuses": [{"name": "z", "image": "i:3"}, {"name": "x", "image": "docker.io/i:1", "imageID": "sha256:0", "containerID": "c://1"}]}}`, `
			kube_pod_container_info{namespace="a",pod="p",uid="u",container="x",image_spec="i:1",image="docker.io/i:1",image_id="sha256:0",container_id="c://1"} 1
		`, []string{"kube_pod_container_info"}},
		"amounts": {Options{}, `{"spec": {"nodeName": "n", "containers": [{"name": "x", "resources": {"limits": {"cpu": "1500m", "memory": "1.5", "nvidia.com/gpu": "2", "ephemeral-storage": "1Ki",
				"hugepages-2Mi": "4Mi", "pods": "3", "kubernetes.io/x": "1", "requests.example.com/y": "1", "a.b/c": "1", "a-b/c": "2", "attachable-volumes-x": "7", "storage": "9"}}}, {"name": "y", "resources": {"requests": {"cpu": "1n"}}}]}}`, `
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="a_b_c",unit="integer"} 2
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="attachable_volumes_x",unit="byte"} 7
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="cpu",unit="core"} 1.5
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="ephemeral_storage",unit="byte"} 1024
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="hugepages_2Mi",unit="byte"} 4194304
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="memory",unit="byte"} 2
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="nvidia_com_gpu",unit="integer"} 2
			kube_pod_container_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="storage",unit="byte"} 9
			kube_pod_container_resource_requests{namespace="a",pod="p",uid="u",container="y",node="n",resource="cpu",unit="core"} 0.001
		`, []string{"kube_pod_container_resource_limits", "kube_pod_container_resource_requests"}},
		"amounts as they run": {Options{}, `{"spec": {"nodeName": "n", "containers": [{"name": "x", "resources": {"requests": {"cpu": "2"}}}]},
				"status": {"containerStatuses": [{"name": "x", "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "5"}}}, {"name": "y"}], "initContainerStatuses": [{"name": "i", "resources": {"requests": {"cpu": "3"}}}]}}`, `
			kube_pod_container_resource_requests{namespace="a",pod="p",uid="u",container="x",node="n",resource="cpu",unit="core"} 2
			kube_pod_container_status_resource_limits{namespace="a",pod="p",uid="u",container="x",node="n",resource="memory",unit="byte"} 5
			kube_pod_container_status_resource_requests{namespace="a",pod="p",uid="u",container="x",node="n",resource="cpu",unit="core"} 1
			kube_pod_init_container_status_resource_requests{namespace="a",pod="p",uid="u",container="i",node="n",resource="cpu",unit="core"} 3
		`, []string{"kube_pod_container_resource_requests", "kube_pod_container_status_resource_limits", "kube_pod_container_status_resource_requests",
			"kube_pod_init_container_status_resource_limits", "kube_pod_init_container_status_resource_requests"}},
		"sidecars are init containers": {Options{}, sidecars, `
			kube_pod_container_info{namespace="a",pod="p",uid="u",container="web",image_spec="w:1",image="w:1",image_id="",container_id=""} 1
			kube_pod_container_resource_requests{namespace="a",pod="p",uid="u",container="web",node="n",resource="cpu",unit="core"} 0.001
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="web"} 0
			kube_pod_init_container_info{namespace="a",pod="p",uid="u",container="log",image_spec="l:1",image="l:1",image_id="",container_id="",restart_policy="Always"} 1
			kube_pod_init_container_info{namespace="a",pod="p",uid="u",container="once",image_spec="o:1",image="o:1",image_id="",container_id="",restart_policy=""} 1
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="log"} 2
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="once"} 0
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="strange"} 0
		`, []string{"kube_pod_container_info", "kube_pod_container_resource_requests", "kube_pod_container_status_restarts_total", "kube_pod_init_container_info", "kube_pod_init_container_status_restarts_total"}},
		"sidecars are containers too": {Options{Sidecars: true}, sidecars, `
			kube_pod_container_info{namespace="a",pod="p",uid="u",container="web",image_spec="w:1",image="w:1",image_id="",container_id=""} 1
			kube_pod_container_info{namespace="a",pod="p",uid="u",container="log",image_spec="l:1",image="l:1",image_id="",container_id=""} 1
			kube_pod_container_resource_requests{namespace="a",pod="p",uid="u",container="web",node="n",resource="cpu",unit="core"} 0.001
			kube_pod_container_resource_requests{namespace="a",pod="p",uid="u",container="log",node="n",resource="cpu",unit="core"} 0.002
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="web"} 0
			kube_pod_container_status_restarts_total{namespace="a",pod="p",uid="u",container="log"} 2
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="log"} 2
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="once"} 0
			kube_pod_init_container_status_restarts_total{namespace="a",pod="p",uid="u",container="strange"} 0
		`, []string{"kube_pod_container_info", "kube_pod_container_resource_requests", "kube_pod_container_status_restarts_total", "kube_pod_init_container_status_restarts_total"}},
	} {
		t.Run(name, func(t *testing.T) { checkRendered(t, &pods, tc.options, pod(t, tc.pod), tc.want, tc.families...) })
	}
}
