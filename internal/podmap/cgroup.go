package podmap

import "strings"

// ByCgroup is the pod that a cgroup belongs to and, where it is that of a container or
// below it, the container's name; nil is none. The path is as the kubelet, cAdvisor or
// /proc/PID/cgroup have it, by either driver of the kubelet:
//
//	/kubepods/burstable/podUID/CONTAINER
//	/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/cri-containerd-CONTAINER.scope
func (m *Map) ByCgroup(path string) (p *Pod, container string) {
	for path != "" {
		i := strings.LastIndexByte(path, '/')
		part := path[i+1:]
		path = path[:max(i, 0)]
		part = strings.TrimSuffix(strings.TrimSuffix(part, ".scope"), ".slice")
		// The runtime's name stands before the id, with a dash or, below a slice
		// that systemd does not know, a colon.
		if p, container := m.ByContainer(part[strings.LastIndexAny(part, "-:")+1:]); p != nil {
			return p, container
		}
		if i := strings.LastIndex(part, "pod"); i >= 0 {
			if p := m.ByUID(part[i+len("pod"):]); p != nil {
				return p, ""
			}
		}
	}
	return nil, ""
}
