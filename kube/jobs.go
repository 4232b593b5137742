package kube

import (
	batch "k8s.io/api/batch/v1"
	"k8s.io/api/core/v1"
)

// Jobs: pods that are to end.
var jobs = resource{
	name: "jobs", version: batch.SchemeGroupVersion, kind: "Job", namespaced: true, on: true,
	labels: []string{"namespace", "job_name"},
	unread: []unread{{fields: "spec.template"}},
	families: []family{
		annotations("kube_job_annotations", "The job's annotations that are allowed, as labels; always 1."),
		labels("kube_job_labels", "The job's labels that are allowed, as labels; always 1."),
		info("kube_job_info", "A job; always 1."),
		created("kube_job_created", "When the job was made, in seconds since the epoch."),
		gauge("kube_job_spec_parallelism", "Pods of the job that may run at the same time.",
			func(l *Lines, j *batch.Job) { Number(l, j.Spec.Parallelism) }),
		gauge("kube_job_spec_completions", "Pods of the job that are to end well.",
			func(l *Lines, j *batch.Job) { Number(l, j.Spec.Completions) }),
		gauge("kube_job_spec_active_deadline_seconds", "Seconds that the job may take.",
			func(l *Lines, j *batch.Job) { Number(l, j.Spec.ActiveDeadlineSeconds) }),
		gauge("kube_job_status_succeeded", "Pods of the job that ended well.",
			func(l *Lines, j *batch.Job) { l.Add(float64(j.Status.Succeeded)) }),
		gauge("kube_job_status_failed", "Whether the job failed for a reason that is known, else the number of its pods that failed.", jobFailures, "reason"),
		gauge("kube_job_status_active", "Pods of the job that are pending or running.",
			func(l *Lines, j *batch.Job) { l.Add(float64(j.Status.Active)) }),
		gauge("kube_job_status_ready", "Pods of the job that are ready.", jobReady),
		gauge("kube_job_complete", "Whether the job's condition Complete, if it has that, is in a state.",
			func(l *Lines, j *batch.Job) { jobCondition(l, j, batch.JobComplete) }, "condition"),
		gauge("kube_job_failed", "Whether the job's condition Failed, if it has that, is in a state.",
			func(l *Lines, j *batch.Job) { jobCondition(l, j, batch.JobFailed) }, "condition"),
		gauge("kube_job_status_start_time", "When the job was begun, in seconds since the epoch.",
			func(l *Lines, j *batch.Job) { l.TimeIf(j.Status.StartTime) }),
		gauge("kube_job_status_completion_time", "When the job was complete, in seconds since the epoch.",
			func(l *Lines, j *batch.Job) { l.TimeIf(j.Status.CompletionTime) }),
		gauge("kube_job_status_suspended", "Whether the job is suspended, if it ever was.", jobSuspended),
		owner("kube_job_owner", "What the job belongs to, with empty labels where that is nothing; always 1."),
	},
}

// jobReasons are why a job fails, as far as there is a series for it.
var jobReasons = []string{"BackoffLimitExceeded", "DeadlineExceeded", "Evicted"}

// jobFailures has no reason where no pod failed; and where the job failed for none
// of the reasons that are known, or has not failed yet, an empty one.
func jobFailures(l *Lines, j *batch.Job) {
	if j.Status.Failed == 0 {
		l.AddOnly(0)
		return
	}
	failed, reason := false, ""
	for _, c := range j.Status.Conditions {
		if c.Type != batch.JobFailed {
			continue
		}
		failed = true
		for _, r := range jobReasons {
			if r == c.Reason {
				reason = r
			}
		}
	}
	if failed {
		l.OneOf(jobReasons, reason)
	}
	if reason == "" {
		l.Add(float64(j.Status.Failed), "")
	}
}

func jobReady(l *Lines, j *batch.Job) {
	if j.Status.Ready == nil {
		l.Add(0)
		return
	}
	l.Add(float64(*j.Status.Ready))
}

// jobCondition writes the states of the condition of a type, if the job has it.
func jobCondition(l *Lines, j *batch.Job, kind batch.JobConditionType) {
	for _, c := range j.Status.Conditions {
		if c.Type == kind {
			l.Status(string(c.Status))
		}
	}
}

func jobSuspended(l *Lines, j *batch.Job) {
	for _, c := range j.Status.Conditions {
		if c.Type == batch.JobSuspended {
			l.Bool(c.Status == v1.ConditionTrue)
		}
	}
}
