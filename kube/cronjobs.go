package kube

import (
	"fmt"
	_ "time/tzdata" // for images without zones: there each cron job that has one would be called invalid (410 KB of file, read only where the system has none)

	"github.com/netresearch/go-cron"
	batch "k8s.io/api/batch/v1"
)

// Cron jobs. The schedule is read by the library that kube-state-metrics has, so
// that the times are the same; the API server has another. Of what they see
// differently: day of month and day of week, both given, must both fit here, and
// a step as long as its range is refused.
var cronJobs = resource{
	name: "cronjobs", version: batch.SchemeGroupVersion, kind: "CronJob", namespaced: true, on: true,
	labels: []string{"namespace", "cronjob"},
	unread: []unread{{fields: "spec.jobTemplate"}},
	families: []family{
		annotations("kube_cronjob_annotations", "The cron job's annotations that are allowed, as labels; always 1."),
		labels("kube_cronjob_labels", "The cron job's labels that are allowed, as labels; always 1."),
		gauge("kube_cronjob_info", "A cron job, when it runs and whether its jobs may overlap; always 1.", cronInfo, "schedule", "concurrency_policy", "timezone"),
		created("kube_cronjob_created", "When the cron job was made, in seconds since the epoch."),
		gauge("kube_cronjob_status_active", "Jobs of the cron job that are running.",
			func(l *Lines, c *batch.CronJob) { l.Add(float64(len(c.Status.Active))) }),
		gauge("kube_cronjob_status_last_schedule_time", "When the cron job last started a job, in seconds since the epoch.",
			func(l *Lines, c *batch.CronJob) { l.TimeIf(c.Status.LastScheduleTime) }),
		gauge("kube_cronjob_status_last_successful_time", "When a job of the cron job last ended well, in seconds since the epoch.",
			func(l *Lines, c *batch.CronJob) { l.TimeIf(c.Status.LastSuccessfulTime) }),
		gauge("kube_cronjob_spec_suspend", "Whether the cron job is to start no jobs.", cronSuspended),
		gauge("kube_cronjob_spec_starting_deadline_seconds", "Seconds by which a job may start late.",
			func(l *Lines, c *batch.CronJob) { Number(l, c.Spec.StartingDeadlineSeconds) }),
		gauge("kube_cronjob_next_schedule_time", "When the next job is due, counted from the last or from the making of the cron job, in seconds since the epoch.", cronNext),
		gauge("kube_cronjob_schedule_invalid", "Always 1, for a cron job whose schedule or time zone cannot be read.", cronInvalid),
		resourceVersion("kube_cronjob_metadata_resource_version", "Version of the cron job; it changes with every write."),
		gauge("kube_cronjob_spec_successful_job_history_limit", "Jobs that ended well and are kept.",
			func(l *Lines, c *batch.CronJob) { Number(l, c.Spec.SuccessfulJobsHistoryLimit) }),
		gauge("kube_cronjob_spec_failed_job_history_limit", "Jobs that failed and are kept.",
			func(l *Lines, c *batch.CronJob) { Number(l, c.Spec.FailedJobsHistoryLimit) }),
	},
}

func cronInfo(l *Lines, c *batch.CronJob) {
	zone := "local"
	if c.Spec.TimeZone != nil {
		zone = *c.Spec.TimeZone
	}
	l.Add(1, c.Spec.Schedule, string(c.Spec.ConcurrencyPolicy), zone)
}

func cronSuspended(l *Lines, c *batch.CronJob) {
	if c.Spec.Suspend != nil {
		l.Bool(*c.Spec.Suspend)
	}
}

func cronInvalid(l *Lines, c *batch.CronJob) {
	if _, err := cronSchedule(c); err != nil {
		l.Add(1)
	}
}

// cronNext writes the year 1 where a job is due never, or not within five years.
// A schedule without a zone goes by that of the last time, which is the process's
// own for times that the API server sent.
func cronNext(l *Lines, c *batch.CronJob) {
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		return
	}
	last := c.CreationTimestamp
	if !c.Status.LastScheduleTime.IsZero() {
		last = *c.Status.LastScheduleTime
	}
	if last.IsZero() {
		return
	}
	if schedule, err := cronSchedule(c); err == nil {
		l.Add(seconds(schedule.Next(last.Time)))
	}
}

// cronSchedule reads the schedule of a cron job in its time zone.
func cronSchedule(c *batch.CronJob) (cron.Schedule, error) {
	text := c.Spec.Schedule
	if c.Spec.TimeZone != nil {
		text = "CRON_TZ=" + *c.Spec.TimeZone + " " + text
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("cron job %s/%s: schedule %q: %w", c.Namespace, c.Name, text, err)
	}
	return s, nil
}
