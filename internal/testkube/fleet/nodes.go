package fleet

import (
	"fmt"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func newNamespace(_ Size, i int) *core.Namespace {
	return &core.Namespace{ObjectMeta: meta.ObjectMeta{
		Name:        namespace(i),
		Labels:      map[string]string{"team": namespace(i), "fleet.example/tier": pick(i, "gold", "silver", "bronze")},
		Annotations: map[string]string{"fleet.example/contact": namespace(i) + "@fleet.example"},
	}}
}

// newNode is a node of 16 processors with the status of its kubelet. The API server
// adds the taint that new nodes have until a controller takes it away.
func newNode(_ Size, i int) *core.Node {
	r := random("node", i)
	n := &core.Node{ObjectMeta: meta.ObjectMeta{
		Name: nodeName(i),
		Labels: map[string]string{
			core.LabelHostname: nodeName(i), core.LabelOSStable: "linux", core.LabelArchStable: pick(i, "amd64", "arm64"),
			core.LabelInstanceTypeStable: pick(i, "m6i.4xlarge", "m6g.4xlarge"),
			core.LabelTopologyRegion:     "eu-central-1", core.LabelTopologyZone: zone(i),
			"node-role.kubernetes.io/worker": "", "fleet.example/pool": pick(i, "general", "memory", "spot"),
		},
		Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true", "node.alpha.kubernetes.io/ttl": "300"},
	}}
	n.Spec.PodCIDR = fmt.Sprintf("100.%d.%d.0/24", 64+i>>8, i&255)
	n.Spec.PodCIDRs = []string{n.Spec.PodCIDR}
	n.Spec.ProviderID = "aws:///" + zone(i) + "/i-" + hex(r, 17)
	amounts := func(cpu, memory string) core.ResourceList {
		return core.ResourceList{
			core.ResourceCPU: resource.MustParse(cpu), core.ResourceMemory: resource.MustParse(memory), core.ResourcePods: resource.MustParse("110"),
			core.ResourceEphemeralStorage: resource.MustParse("104845292Ki"), "hugepages-1Gi": resource.MustParse("0"), "hugepages-2Mi": resource.MustParse("0"),
		}
	}
	n.Status = core.NodeStatus{
		Capacity: amounts("16", "65036572Ki"), Allocatable: amounts("15890m", "62012572Ki"),
		Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: nodeIP(i)}, {Type: core.NodeHostName, Address: nodeName(i)}},
		NodeInfo: core.NodeSystemInfo{
			MachineID: hex(r, 32), SystemUUID: string(uid("machine", i)), BootID: string(uid("boot", i)),
			KernelVersion: "6.12.48-1.fleet", OSImage: "Fleet Linux 12", ContainerRuntimeVersion: "containerd://2.1.4",
			KubeletVersion: "v1.36.3", OperatingSystem: "linux", Architecture: pick(i, "amd64", "arm64"),
		},
		DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: 10250}},
	}
	since := past(r)
	condition := func(t core.NodeConditionType, status core.ConditionStatus, reason, message string) {
		n.Status.Conditions = append(n.Status.Conditions, core.NodeCondition{Type: t, Status: status, Reason: reason, Message: message,
			LastHeartbeatTime: meta.Time{Time: epoch}, LastTransitionTime: since})
	}
	condition(core.NodeMemoryPressure, core.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available")
	condition(core.NodeDiskPressure, core.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
	condition(core.NodePIDPressure, core.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available")
	if i%100 == 99 {
		condition(core.NodeReady, core.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.")
	} else {
		condition(core.NodeReady, core.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	}
	for range 30 { // of 50 that kubelets name
		name := fmt.Sprintf("registry.fleet.example/%s/%s", namespace(r.IntN(namespaces)), pick(r.IntN(4), "app", "migrate", "mesh-proxy", "log-shipper"))
		n.Status.Images = append(n.Status.Images, core.ContainerImage{SizeBytes: r.Int64N(500e6),
			Names: []string{name + "@sha256:" + hex(r, 64), fmt.Sprintf("%s:v%d.%d.%d", name, r.IntN(4), r.IntN(23), r.IntN(11))}})
	}
	return n
}

func leases(c kubernetes.Interface, namespace string) api[*coordination.Lease] {
	return c.CoordinationV1().Leases(namespace)
}

func newLease(_ Size, i int) *coordination.Lease {
	name, seconds, at := nodeName(i), int32(40), meta.NewMicroTime(epoch.Add(time.Duration(i)*time.Millisecond))
	l := &coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: core.NamespaceNodeLease}}
	l.OwnerReferences = []meta.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: uid("Node", i)}}
	l.Spec = coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &at}
	return l
}
