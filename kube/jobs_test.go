package kube

import (
	"testing"

	batch "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestJobs(t *testing.T) {
	start, end := v1.Unix(1500000010, 0), v1.Unix(1500000051, 0)
	j := &batch.Job{
		ObjectMeta: v1.ObjectMeta{Namespace: "batch", Name: "report", CreationTimestamp: v1.Unix(1500000000, 0), OwnerReferences: []v1.OwnerReference{
			{Kind: "CronJob", Name: "report", Controller: ptr(true)}, {Kind: "CronJob", Name: "report", Controller: ptr(true), UID: "again"}, {Kind: "Run", Name: "7"},
		}},
		Spec: batch.JobSpec{Parallelism: ptr(int32(0)), Completions: ptr(int32(4)), ActiveDeadlineSeconds: ptr(int64(3600))},
		Status: batch.JobStatus{
			StartTime: &start, CompletionTime: &end, Active: 2, Ready: ptr(int32(1)), Succeeded: 4,
			Conditions: []batch.JobCondition{{Type: "Complete", Status: "True"}, {Type: "Complete", Status: "False"}, {Type: "Suspended", Status: "False"}, {Type: "Suspended", Status: "True"}},
		},
	}
	checkRendered(t, &jobs, Options{}, j, `
		kube_job_info{namespace="batch",job_name="report"} 1
		kube_job_created{namespace="batch",job_name="report"} 1500000000
		kube_job_spec_parallelism{namespace="batch",job_name="report"} 0
		kube_job_spec_completions{namespace="batch",job_name="report"} 4
		kube_job_spec_active_deadline_seconds{namespace="batch",job_name="report"} 3600
		kube_job_status_succeeded{namespace="batch",job_name="report"} 4
		kube_job_status_failed{namespace="batch",job_name="report"} 0
		kube_job_status_active{namespace="batch",job_name="report"} 2
		kube_job_status_ready{namespace="batch",job_name="report"} 1
		kube_job_complete{namespace="batch",job_name="report",condition="true"} 1
		kube_job_complete{namespace="batch",job_name="report",condition="false"} 0
		kube_job_complete{namespace="batch",job_name="report",condition="unknown"} 0
		kube_job_status_start_time{namespace="batch",job_name="report"} 1500000010
		kube_job_status_completion_time{namespace="batch",job_name="report"} 1500000051
		kube_job_status_suspended{namespace="batch",job_name="report"} 0
		kube_job_owner{namespace="batch",job_name="report",owner_kind="CronJob",owner_name="report",owner_is_controller="true"} 1
		kube_job_owner{namespace="batch",job_name="report",owner_kind="Run",owner_name="7",owner_is_controller="false"} 1
	`)
	checkRendered(t, &jobs, Options{}, &batch.Job{}, `
		kube_job_info{namespace="",job_name=""} 1
		kube_job_status_succeeded{namespace="",job_name=""} 0
		kube_job_status_failed{namespace="",job_name=""} 0
		kube_job_status_active{namespace="",job_name=""} 0
		kube_job_status_ready{namespace="",job_name=""} 0
		kube_job_owner{namespace="",job_name="",owner_kind="",owner_name="",owner_is_controller=""} 1
	`)
}

// TestJobsFailures: the reason of a failed job is in its condition, whose status
// does not count.
func TestJobsFailures(t *testing.T) {
	const known = `
		kube_job_status_failed{namespace="",job_name="",reason="BackoffLimitExceeded"} 0
		kube_job_status_failed{namespace="",job_name="",reason="DeadlineExceeded"} 1
		kube_job_status_failed{namespace="",job_name="",reason="Evicted"} 0
	`
	for name, tc := range map[string]struct {
		failed     int32
		conditions []batch.JobCondition
		options    Options
		want       string
	}{
		"pods failed":     {2, nil, Options{}, `kube_job_status_failed{namespace="",job_name="",reason=""} 2` + "\n"},
		"another":         {2, []batch.JobCondition{{Type: "FailureTarget", Reason: "DeadlineExceeded"}}, Options{}, `kube_job_status_failed{namespace="",job_name="",reason=""} 2` + "\n"},
		"known":           {1, []batch.JobCondition{{Type: "Failed", Status: "True", Reason: "DeadlineExceeded"}}, Options{}, known},
		"known, not true": {1, []batch.JobCondition{{Type: "Failed", Status: "False", Reason: "DeadlineExceeded"}}, Options{}, known},
		"twice":           {1, []batch.JobCondition{{Type: "Failed", Reason: "Odd"}, {Type: "Failed", Reason: "DeadlineExceeded"}}, Options{}, known},
		"true only": {1, []batch.JobCondition{{Type: "Failed", Reason: "Evicted"}}, Options{TrueOnly: true},
			`kube_job_status_failed{namespace="",job_name="",reason="Evicted"} 1` + "\n"},
		"no pod failed": {0, []batch.JobCondition{{Type: "Failed", Reason: "DeadlineExceeded"}}, Options{}, `kube_job_status_failed{namespace="",job_name=""} 0` + "\n"},
		"unknown": {3, []batch.JobCondition{{Type: "Failed", Reason: "PodFailurePolicy"}}, Options{}, `
			kube_job_status_failed{namespace="",job_name="",reason="BackoffLimitExceeded"} 0
			kube_job_status_failed{namespace="",job_name="",reason="DeadlineExceeded"} 0
			kube_job_status_failed{namespace="",job_name="",reason="Evicted"} 0
			kube_job_status_failed{namespace="",job_name="",reason=""} 3
		`},
	} {
		t.Run(name, func(t *testing.T) {
			j := &batch.Job{Status: batch.JobStatus{Failed: tc.failed, Conditions: tc.conditions}}
			checkRendered(t, &jobs, tc.options, j, tc.want, "kube_job_status_failed")
		})
	}
}
