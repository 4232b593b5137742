package fleet

import (
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/client-go/kubernetes"
)

func (s Size) pods() int     { return s.Pods }
func (s Size) nodes() int    { return s.Nodes }
func (s Size) other() int    { return s.Other }
func (Size) namespaces() int { return namespaces }

// kinds is the table of what a fleet is made of, in the order of loading: namespaces
// before what is in them, quotas after all that they would hold up.
var kinds = []kind{
	without("namespaces", Size.namespaces, func(c kubernetes.Interface, _ string) api[*core.Namespace] {
		return c.CoreV1().Namespaces()
	}, newNamespace),
	with("nodes", Size.nodes, func(c kubernetes.Interface, _ string) statusAPI[*core.Node] {
		return c.CoreV1().Nodes()
	}, newNode, func(made, o *core.Node) { made.Status = o.Status }),
	without("leases", Size.nodes, leases, newLease),
	with("persistent volumes", Size.other, func(c kubernetes.Interface, _ string) statusAPI[*core.PersistentVolume] {
		return c.CoreV1().PersistentVolumes()
	}, newVolume, func(made, o *core.PersistentVolume) { made.Status = o.Status }),
	with("persistent volume claims", Size.other, func(c kubernetes.Interface, n string) statusAPI[*core.PersistentVolumeClaim] {
		return c.CoreV1().PersistentVolumeClaims(n)
	}, newClaim, func(made, o *core.PersistentVolumeClaim) { made.Status = o.Status }),
	without("config maps", Size.other, func(c kubernetes.Interface, n string) api[*core.ConfigMap] {
		return c.CoreV1().ConfigMaps(n)
	}, newConfigMap),
	without("secrets", Size.other, func(c kubernetes.Interface, n string) api[*core.Secret] {
		return c.CoreV1().Secrets(n)
	}, newSecret),
	without("service accounts", Size.other, func(c kubernetes.Interface, n string) api[*core.ServiceAccount] {
		return c.CoreV1().ServiceAccounts(n)
	}, newServiceAccount),
	without("services", Size.other, func(c kubernetes.Interface, n string) api[*core.Service] {
		return c.CoreV1().Services(n)
	}, newService),
	without("endpoints", Size.other, endpointsAPI, newEndpoints),
	without("endpoint slices", Size.other, slices, newSlice),
	with("deployments", Size.other, func(c kubernetes.Interface, n string) statusAPI[*apps.Deployment] {
		return c.AppsV1().Deployments(n)
	}, newDeployment, func(made, o *apps.Deployment) { made.Status = o.Status }),
	with("replica sets", Size.other, func(c kubernetes.Interface, n string) statusAPI[*apps.ReplicaSet] {
		return c.AppsV1().ReplicaSets(n)
	}, newReplicaSet, func(made, o *apps.ReplicaSet) { made.Status = o.Status }),
	with("stateful sets", Size.other, func(c kubernetes.Interface, n string) statusAPI[*apps.StatefulSet] {
		return c.AppsV1().StatefulSets(n)
	}, newStatefulSet, func(made, o *apps.StatefulSet) { made.Status = o.Status }),
	with("daemon sets", Size.other, func(c kubernetes.Interface, n string) statusAPI[*apps.DaemonSet] {
		return c.AppsV1().DaemonSets(n)
	}, newDaemonSet, func(made, o *apps.DaemonSet) { made.Status = o.Status }),
	with("jobs", Size.other, func(c kubernetes.Interface, n string) statusAPI[*batch.Job] {
		return c.BatchV1().Jobs(n)
	}, newJob, func(made, o *batch.Job) { made.Status = o.Status }),
	with("cron jobs", Size.other, func(c kubernetes.Interface, n string) statusAPI[*batch.CronJob] {
		return c.BatchV1().CronJobs(n)
	}, newCronJob, func(made, o *batch.CronJob) { made.Status = o.Status }),
	with("autoscalers", Size.other, func(c kubernetes.Interface, n string) statusAPI[*autoscaling.HorizontalPodAutoscaler] {
		return c.AutoscalingV2().HorizontalPodAutoscalers(n)
	}, newAutoscaler, func(made, o *autoscaling.HorizontalPodAutoscaler) { made.Status = o.Status }),
	with("disruption budgets", Size.other, func(c kubernetes.Interface, n string) statusAPI[*policy.PodDisruptionBudget] {
		return c.PolicyV1().PodDisruptionBudgets(n)
	}, newBudget, func(made, o *policy.PodDisruptionBudget) { made.Status = o.Status }),
	with("ingresses", Size.other, func(c kubernetes.Interface, n string) statusAPI[*networking.Ingress] {
		return c.NetworkingV1().Ingresses(n)
	}, newIngress, func(made, o *networking.Ingress) { made.Status = o.Status }),
	without("network policies", Size.other, func(c kubernetes.Interface, n string) api[*networking.NetworkPolicy] {
		return c.NetworkingV1().NetworkPolicies(n)
	}, newNetworkPolicy),
	with("pods", Size.pods, func(c kubernetes.Interface, n string) statusAPI[*core.Pod] {
		return c.CoreV1().Pods(n)
	}, newPod, func(made, o *core.Pod) { made.Status = o.Status }),
	with("quotas", Size.namespaces, func(c kubernetes.Interface, n string) statusAPI[*core.ResourceQuota] {
		return c.CoreV1().ResourceQuotas(n)
	}, newQuota, func(made, o *core.ResourceQuota) { made.Status = o.Status }),
}
