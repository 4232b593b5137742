package fleet

import (
	"fmt"
	"maps"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// replicas is how many pods each workload wants.
func replicas(size Size) int32 {
	if size.Other == 0 {
		return 10
	}
	return int32(max(1, size.Pods/size.Other))
}

// template is that of the i-th workload's pods.
func template(i int) core.PodTemplateSpec {
	return core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: maps.Clone(labelsOf(i)), Annotations: map[string]string{
		"prometheus.io/scrape": "true", "prometheus.io/port": "9102", "checksum/config": hex(random("configuration", i), 64),
	}}, Spec: podSpec(i)}
}

func newDeployment(size Size, i int) *apps.Deployment {
	want, since := replicas(size), past(random("deployment", i))
	d := &apps.Deployment{ObjectMeta: about(i, app(i))}
	d.Annotations["deployment.kubernetes.io/revision"] = fmt.Sprint(1 + i%40)
	d.Spec = apps.DeploymentSpec{Replicas: &want, Selector: &meta.LabelSelector{MatchLabels: selector(i)}, Template: template(i)}
	d.Status = apps.DeploymentStatus{ObservedGeneration: 1, Replicas: want, UpdatedReplicas: want, ReadyReplicas: want, AvailableReplicas: want,
		Conditions: []apps.DeploymentCondition{
			{Type: apps.DeploymentAvailable, Status: core.ConditionTrue, Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability.", LastUpdateTime: since, LastTransitionTime: since},
			{Type: apps.DeploymentProgressing, Status: core.ConditionTrue, Reason: "NewReplicaSetAvailable", Message: fmt.Sprintf("ReplicaSet %q has successfully progressed.", replicaSetName(i)), LastUpdateTime: since, LastTransitionTime: since},
		}}
	if i%20 == 19 { // one in twenty is not what it should be
		d.Status.ReadyReplicas, d.Status.AvailableReplicas, d.Status.UnavailableReplicas = want-1, want-1, 1
		d.Status.Conditions[0].Status, d.Status.Conditions[0].Reason = core.ConditionFalse, "MinimumReplicasUnavailable"
	}
	return d
}

func newReplicaSet(size Size, i int) *apps.ReplicaSet {
	want := replicas(size)
	s := &apps.ReplicaSet{ObjectMeta: about(i, replicaSetName(i))}
	s.Annotations["deployment.kubernetes.io/desired-replicas"] = fmt.Sprint(want)
	s.OwnerReferences = ownedBy("apps/v1", "Deployment", app(i), i)
	s.Spec = apps.ReplicaSetSpec{Replicas: &want, Selector: &meta.LabelSelector{MatchLabels: selector(i)}, Template: template(i)}
	s.Status = apps.ReplicaSetStatus{Replicas: want, FullyLabeledReplicas: want, ReadyReplicas: want, AvailableReplicas: want, ObservedGeneration: 1}
	return s
}

func newStatefulSet(_ Size, i int) *apps.StatefulSet {
	want, revision := int32(3), app(i)+"-store-"+suffix(random("revision", i), 10)
	s := &apps.StatefulSet{ObjectMeta: about(i, app(i)+"-store")}
	s.Spec = apps.StatefulSetSpec{Replicas: &want, ServiceName: app(i), Selector: &meta.LabelSelector{MatchLabels: selector(i)}, Template: template(i),
		VolumeClaimTemplates: []core.PersistentVolumeClaim{{ObjectMeta: meta.ObjectMeta{Name: "data"}, Spec: claimSpec("")}}}
	s.Status = apps.StatefulSetStatus{ObservedGeneration: 1, Replicas: want, ReadyReplicas: want, AvailableReplicas: want, CurrentReplicas: want, UpdatedReplicas: want,
		CurrentRevision: revision, UpdateRevision: revision}
	return s
}

func newDaemonSet(size Size, i int) *apps.DaemonSet {
	n := int32(size.Nodes)
	d := &apps.DaemonSet{ObjectMeta: about(i, app(i)+"-agent")}
	d.Spec = apps.DaemonSetSpec{Selector: &meta.LabelSelector{MatchLabels: selector(i)}, Template: template(i)}
	d.Status = apps.DaemonSetStatus{CurrentNumberScheduled: n, DesiredNumberScheduled: n, NumberReady: n, UpdatedNumberScheduled: n, NumberAvailable: n, ObservedGeneration: 1}
	return d
}

func jobName(i int) string { return fmt.Sprintf("%s-import-%d", app(i), 29_000_000+i) }

// newJob is a job of a cron job. One in fifty has failed.
func newJob(_ Size, i int) *batch.Job {
	started := past(random("job", i))
	ended := meta.Time{Time: started.Add(time.Duration(60+i%600) * time.Second)}
	j := &batch.Job{ObjectMeta: about(i, jobName(i))}
	j.OwnerReferences = ownedBy("batch/v1", "CronJob", app(i)+"-import", i)
	j.Spec = jobSpec(i)
	condition := func(t batch.JobConditionType, reason, message string) batch.JobCondition {
		return batch.JobCondition{Type: t, Status: core.ConditionTrue, Reason: reason, Message: message, LastProbeTime: ended, LastTransitionTime: ended}
	}
	zero := int32(0)
	j.Status = batch.JobStatus{StartTime: &started, Ready: &zero, Terminating: &zero, UncountedTerminatedPods: &batch.UncountedTerminatedPods{}}
	if i%50 == 49 {
		j.Status.Failed = 1
		j.Status.Conditions = []batch.JobCondition{
			condition(batch.JobFailureTarget, batch.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"),
			condition(batch.JobFailed, batch.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"),
		}
		return j
	}
	j.Status.Succeeded, j.Status.CompletionTime = 1, &ended
	j.Status.Conditions = []batch.JobCondition{
		condition(batch.JobSuccessCriteriaMet, batch.JobReasonCompletionsReached, "Reached expected number of succeeded pods"),
		condition(batch.JobComplete, batch.JobReasonCompletionsReached, "Reached expected number of succeeded pods"),
	}
	return j
}

func jobSpec(i int) batch.JobSpec {
	one, limit := int32(1), int32(0)
	s := batch.JobSpec{Parallelism: &one, Completions: &one, BackoffLimit: &limit, Template: template(i)}
	s.Template.Spec.RestartPolicy = core.RestartPolicyNever
	return s
}

func newCronJob(_ Size, i int) *batch.CronJob {
	last := meta.Time{Time: epoch.Add(-time.Duration(i%24) * time.Hour)}
	c := &batch.CronJob{ObjectMeta: about(i, app(i)+"-import")}
	c.Spec = batch.CronJobSpec{
		Schedule: fmt.Sprintf("%d %d * * *", i%60, i%24), ConcurrencyPolicy: batch.ForbidConcurrent,
		JobTemplate: batch.JobTemplateSpec{Spec: jobSpec(i)},
	}
	c.Status = batch.CronJobStatus{LastScheduleTime: &last, LastSuccessfulTime: &last}
	return c
}

func newAutoscaler(size Size, i int) *autoscaling.HorizontalPodAutoscaler {
	least, busy, now, since := int32(2), int32(70), replicas(size), past(random("autoscaler", i))
	used := int32(20 + i%60)
	h := &autoscaling.HorizontalPodAutoscaler{ObjectMeta: about(i, app(i))}
	h.Spec = autoscaling.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: app(i)},
		MinReplicas:    &least, MaxReplicas: now + 10,
		Metrics: []autoscaling.MetricSpec{{Type: autoscaling.ResourceMetricSourceType, Resource: &autoscaling.ResourceMetricSource{
			Name: core.ResourceCPU, Target: autoscaling.MetricTarget{Type: autoscaling.UtilizationMetricType, AverageUtilization: &busy}}}},
	}
	average := resource.NewMilliQuantity(int64(used), resource.DecimalSI)
	h.Status = autoscaling.HorizontalPodAutoscalerStatus{CurrentReplicas: now, DesiredReplicas: now, LastScaleTime: &since,
		CurrentMetrics: []autoscaling.MetricStatus{{Type: autoscaling.ResourceMetricSourceType, Resource: &autoscaling.ResourceMetricStatus{
			Name: core.ResourceCPU, Current: autoscaling.MetricValueStatus{AverageUtilization: &used, AverageValue: average}}}},
		Conditions: []autoscaling.HorizontalPodAutoscalerCondition{
			{Type: autoscaling.AbleToScale, Status: core.ConditionTrue, Reason: "ReadyForNewScale", LastTransitionTime: since},
			{Type: autoscaling.ScalingActive, Status: core.ConditionTrue, Reason: "ValidMetricFound", LastTransitionTime: since},
			{Type: autoscaling.ScalingLimited, Status: core.ConditionFalse, Reason: "DesiredWithinRange", LastTransitionTime: since},
		}}
	return h
}

func newBudget(size Size, i int) *policy.PodDisruptionBudget {
	most, n := intstr.FromString("25%"), replicas(size)
	b := &policy.PodDisruptionBudget{ObjectMeta: about(i, app(i))}
	b.Spec = policy.PodDisruptionBudgetSpec{MaxUnavailable: &most, Selector: &meta.LabelSelector{MatchLabels: selector(i)}}
	b.Status = policy.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: n / 4, CurrentHealthy: n, DesiredHealthy: n - n/4, ExpectedPods: n}
	return b
}
