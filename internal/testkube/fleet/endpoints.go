package fleet

//lint:file-ignore SA1019 endpoints are deprecated, and still in every cluster

import (
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

func endpointsAPI(c kubernetes.Interface, namespace string) api[*core.Endpoints] {
	return c.CoreV1().Endpoints(namespace)
}

func newEndpoints(size Size, i int) *core.Endpoints {
	e := &core.Endpoints{ObjectMeta: about(i, app(i))}
	s := core.EndpointSubset{Ports: []core.EndpointPort{{Name: "http", Port: 8080, Protocol: core.ProtocolTCP}, {Name: "metrics", Port: 9102, Protocol: core.ProtocolTCP}}}
	for _, p := range members(size, i) {
		node := nodeName(p % size.Nodes)
		a := core.EndpointAddress{IP: podIP(p), NodeName: &node, TargetRef: podReference(size, p)}
		if stateOf(p) == runs {
			s.Addresses = append(s.Addresses, a)
		} else {
			s.NotReadyAddresses = append(s.NotReadyAddresses, a)
		}
	}
	if len(s.Addresses)+len(s.NotReadyAddresses) > 0 {
		e.Subsets = []core.EndpointSubset{s}
	}
	return e
}
