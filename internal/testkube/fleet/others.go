package fleet

import (
	"fmt"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// newConfigMap has about 2 kB of data.
func newConfigMap(_ Size, i int) *core.ConfigMap {
	r := random("config map", i)
	return &core.ConfigMap{ObjectMeta: about(i, app(i)), Data: map[string]string{"app.yaml": "key: " + hex(r, 1500) + "\n", "features": hex(r, 400)}}
}

// newSecret has about 1 kB of data.
func newSecret(_ Size, i int) *core.Secret {
	r := random("secret", i)
	s := &core.Secret{ObjectMeta: about(i, app(i)), Type: core.SecretTypeOpaque, Data: map[string][]byte{"token": []byte(hex(r, 600)), "password": []byte(hex(r, 32))}}
	if i%4 == 3 {
		s.Type, s.Data = core.SecretTypeBasicAuth, map[string][]byte{core.BasicAuthUsernameKey: []byte("app"), core.BasicAuthPasswordKey: []byte(hex(r, 900))}
	}
	return s
}

func newServiceAccount(_ Size, i int) *core.ServiceAccount {
	return &core.ServiceAccount{ObjectMeta: about(i, app(i)), ImagePullSecrets: []core.LocalObjectReference{{Name: "registry"}}}
}

func newService(_ Size, i int) *core.Service {
	s := &core.Service{ObjectMeta: about(i, app(i))}
	s.Spec = core.ServiceSpec{Selector: selector(i), Ports: []core.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}, {Name: "metrics", Port: 9102, TargetPort: intstr.FromString("metrics")},
	}}
	return s
}

// members are the numbers of the pods behind the i-th service, ten at most.
func members(size Size, i int) []int {
	if size.Other == 0 {
		return nil
	}
	var m []int
	for p := i; p < size.Pods && len(m) < 10; p += size.Other {
		if stateOf(p) != completed {
			m = append(m, p)
		}
	}
	return m
}

func podReference(size Size, pod int) *core.ObjectReference {
	namespace, name := podName(size, pod)
	return &core.ObjectReference{Kind: "Pod", Namespace: namespace, Name: name, UID: uid("Pod", pod)}
}

func slices(c kubernetes.Interface, namespace string) api[*discovery.EndpointSlice] {
	return c.DiscoveryV1().EndpointSlices(namespace)
}

// newSlice names each port: kube-state-metrics 2.18.0 ends with a panic at one
// without a name.
func newSlice(size Size, i int) *discovery.EndpointSlice {
	e := &discovery.EndpointSlice{ObjectMeta: about(i, app(i)+"-"+suffix(random("slice", i), 5)), AddressType: discovery.AddressTypeIPv4}
	e.Labels[discovery.LabelServiceName] = app(i)
	e.OwnerReferences = ownedBy("v1", "Service", app(i), i)
	for _, p := range []struct {
		name string
		port int32
	}{{"http", 8080}, {"metrics", 9102}} {
		tcp := core.ProtocolTCP
		e.Ports = append(e.Ports, discovery.EndpointPort{Name: &p.name, Port: &p.port, Protocol: &tcp})
	}
	for _, p := range members(size, i) {
		ready, ending := stateOf(p) == runs, false
		node, where := nodeName(p%size.Nodes), zone(p%size.Nodes)
		e.Endpoints = append(e.Endpoints, discovery.Endpoint{
			Addresses: []string{podIP(p)}, NodeName: &node, Zone: &where, TargetRef: podReference(size, p),
			Conditions: discovery.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: &ending},
		})
	}
	return e
}

func claimSpec(volume string) core.PersistentVolumeClaimSpec {
	class := "fast"
	return core.PersistentVolumeClaimSpec{
		AccessModes: []core.PersistentVolumeAccessMode{core.ReadWriteOnce}, StorageClassName: &class, VolumeName: volume,
		Resources: core.VolumeResourceRequirements{Requests: core.ResourceList{core.ResourceStorage: resource.MustParse("20Gi")}},
	}
}

func volumeName(i int) string { return "pvc-" + string(uid("PersistentVolumeClaim", i)) }

func newClaim(_ Size, i int) *core.PersistentVolumeClaim {
	c := &core.PersistentVolumeClaim{ObjectMeta: about(i, app(i)+"-data"), Spec: claimSpec(volumeName(i))}
	c.Annotations["volume.kubernetes.io/storage-provisioner"] = "csi.fleet.example"
	c.Status = core.PersistentVolumeClaimStatus{Phase: core.ClaimBound, AccessModes: c.Spec.AccessModes, Capacity: c.Spec.Resources.Requests}
	return c
}

func newVolume(_ Size, i int) *core.PersistentVolume {
	v := &core.PersistentVolume{ObjectMeta: meta.ObjectMeta{Name: volumeName(i), Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "csi.fleet.example"}}}
	v.Spec = core.PersistentVolumeSpec{
		Capacity:    core.ResourceList{core.ResourceStorage: resource.MustParse("20Gi")},
		AccessModes: []core.PersistentVolumeAccessMode{core.ReadWriteOnce}, StorageClassName: "fast",
		PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
		PersistentVolumeSource: core.PersistentVolumeSource{CSI: &core.CSIPersistentVolumeSource{
			Driver: "csi.fleet.example", VolumeHandle: "vol-" + hex(random("volume", i), 17), FSType: "ext4", VolumeAttributes: map[string]string{"tier": "fast"}}},
		ClaimRef: &core.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace(i), Name: app(i) + "-data", UID: uid("PersistentVolumeClaim", i)},
	}
	v.Status.Phase = core.VolumeBound
	return v
}

func newIngress(_ Size, i int) *networking.Ingress {
	class, kind, host := "public", networking.PathTypePrefix, app(i)+".fleet.example"
	path := func(p, port string) networking.HTTPIngressPath {
		return networking.HTTPIngressPath{Path: p, PathType: &kind, Backend: networking.IngressBackend{
			Service: &networking.IngressServiceBackend{Name: app(i), Port: networking.ServiceBackendPort{Name: port}}}}
	}
	n := &networking.Ingress{ObjectMeta: about(i, app(i))}
	n.Spec = networking.IngressSpec{
		IngressClassName: &class, TLS: []networking.IngressTLS{{Hosts: []string{host}, SecretName: app(i) + "-tls"}},
		Rules: []networking.IngressRule{{Host: host, IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{
			Paths: []networking.HTTPIngressPath{path("/", "http"), path("/metrics", "metrics")}}}}},
	}
	n.Status.LoadBalancer.Ingress = []networking.IngressLoadBalancerIngress{{Hostname: fmt.Sprintf("lb-%d.fleet.example", i%20)}}
	return n
}

func newNetworkPolicy(_ Size, i int) *networking.NetworkPolicy {
	port, tcp := intstr.FromInt32(8080), core.ProtocolTCP
	p := &networking.NetworkPolicy{ObjectMeta: about(i, app(i))}
	p.Spec = networking.NetworkPolicySpec{PodSelector: meta.LabelSelector{MatchLabels: selector(i)}, PolicyTypes: []networking.PolicyType{networking.PolicyTypeIngress},
		Ingress: []networking.NetworkPolicyIngressRule{{
			Ports: []networking.NetworkPolicyPort{{Port: &port, Protocol: &tcp}},
			From:  []networking.NetworkPolicyPeer{{NamespaceSelector: &meta.LabelSelector{MatchLabels: map[string]string{"team": namespace(i)}}}},
		}}}
	return p
}

func newQuota(_ Size, i int) *core.ResourceQuota {
	amounts := func(cpu, memory, pods string) core.ResourceList {
		return core.ResourceList{"requests.cpu": resource.MustParse(cpu), "requests.memory": resource.MustParse(memory), core.ResourcePods: resource.MustParse(pods)}
	}
	q := &core.ResourceQuota{ObjectMeta: meta.ObjectMeta{Name: "team", Namespace: namespace(i)}}
	q.Spec.Hard = amounts("4000", "8Ti", "5000")
	q.Status = core.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: amounts("230500m", "310Gi", "400")}
	return q
}
