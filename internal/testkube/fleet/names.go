package fleet

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What objects are called, and the numbers and times in them, from their kind and
// number alone.

// epoch is when the youngest of the fleet's past events happened.
var epoch = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

// random is a source of numbers that is always the same for one object.
func random(kind string, i int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(kind))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(i)))
}

// past is a moment in the weeks before epoch.
func past(r *rand.Rand) meta.Time {
	return meta.Time{Time: epoch.Add(-time.Duration(r.IntN(30*24*3600)) * time.Second)}
}

// hex are n digits.
func hex(r *rand.Rand, n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[r.IntN(len(digits))]
	}
	return string(b)
}

// suffix are n characters as Kubernetes generates names with
// (k8s.io/apimachinery/pkg/util/rand: no vowels, no 0, 1 and 3).
func suffix(r *rand.Rand, n int) string {
	const characters = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = characters[r.IntN(len(characters))]
	}
	return string(b)
}

// uid is that of the i-th object of a kind, for references to it.
func uid(kind string, i int) types.UID {
	r := random("uid/"+kind, i)
	return types.UID(fmt.Sprintf("%s-%s-4%s-a%s-%s", hex(r, 8), hex(r, 4), hex(r, 3), hex(r, 3), hex(r, 12)))
}

// namespacePrefix begins the names of namespaces.
const namespacePrefix = "team-"

// namespace is that of the i-th workload and all that belongs to it.
func namespace(i int) string { return fmt.Sprintf("%s%02d", namespacePrefix, i%namespaces) }

// pick is one of values for the number i.
func pick(i int, values ...string) string { return values[i%len(values)] }

// app is the name of the i-th workload.
func app(i int) string {
	return fmt.Sprintf("%s-%s-%d",
		pick(i, "ledger", "catalogue", "invoice", "session", "search", "shipment", "profile", "gateway", "report", "notify", "quota"),
		pick(i/11, "api", "worker", "frontend", "consumer", "cache"), i)
}

// labelsOf are those of the i-th workload's objects.
func labelsOf(i int) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       app(i),
		"app.kubernetes.io/instance":   app(i) + "-" + pick(i, "blue", "green"),
		"app.kubernetes.io/component":  pick(i, "backend", "frontend", "batch"),
		"app.kubernetes.io/managed-by": "Helm",
		"helm.sh/chart":                fmt.Sprintf("service-%d.%d.%d", i%5, i%17, i%9),
		"team":                         namespace(i),
		"cost-centre":                  fmt.Sprintf("cc-%04d", i%300),
	}
}

// selector are the labels that pods are found by.
func selector(i int) map[string]string {
	return map[string]string{"app.kubernetes.io/name": app(i)}
}

// about is the metadata of an object of the i-th workload.
func about(i int, name string) meta.ObjectMeta {
	return meta.ObjectMeta{
		Name: name, Namespace: namespace(i), Labels: labelsOf(i),
		Annotations: map[string]string{
			"meta.helm.sh/release-name":      app(i),
			"meta.helm.sh/release-namespace": namespace(i),
		},
	}
}

// ownedBy refers to the controller of an object.
func ownedBy(version, kind, name string, i int) []meta.OwnerReference {
	yes := true
	return []meta.OwnerReference{{APIVersion: version, Kind: kind, Name: name, UID: uid(kind, i), Controller: &yes, BlockOwnerDeletion: &yes}}
}

func replicaSetName(i int) string { return app(i) + "-" + suffix(random("template", i), 10) }

func nodeName(i int) string {
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-central-1.compute.internal", 32+i/250, i%250, 10+i%200)
}

func zone(node int) string { return "eu-central-1" + pick(node, "a", "b", "c") }

// NodeAddresses and PodAddresses are where the addresses of all nodes and pods are from.
// The second is shared by carriers (RFC 6598) and so hardly anybody's on a host.
const (
	NodeAddresses = "10.32.0.0/11"
	PodAddresses  = "100.64.0.0/10"
)

func nodeIP(i int) string { return fmt.Sprintf("10.%d.%d.%d", 32+i/250, i%250, 10+i%200) }

func podIP(i int) string { return fmt.Sprintf("100.%d.%d.%d", 64+i>>16, i>>8&255, i&255) }
