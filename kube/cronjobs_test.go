package kube

import (
	"slices"
	"strconv"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	"k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/expo"
)

func ptr[T any](v T) *T { return &v }

func TestCronJobs(t *testing.T) {
	last, good := meta.Unix(1795138200, 0), meta.Unix(1795052477, 0)
	c := &batch.CronJob{
		ObjectMeta: meta.ObjectMeta{Namespace: "batch", Name: "report", ResourceVersion: "332", CreationTimestamp: meta.Unix(1500000000, 0)},
		Spec: batch.CronJobSpec{
			Schedule: "30 2 * * *", TimeZone: ptr("Europe/Berlin"), ConcurrencyPolicy: batch.ForbidConcurrent, Suspend: ptr(false),
			StartingDeadlineSeconds: ptr(int64(600)), SuccessfulJobsHistoryLimit: ptr(int32(5)), FailedJobsHistoryLimit: ptr(int32(0)),
		},
		Status: batch.CronJobStatus{Active: []v1.ObjectReference{{}, {}}, LastScheduleTime: &last, LastSuccessfulTime: &good},
	}
	checkRendered(t, &cronJobs, Options{}, c, `
		kube_cronjob_info{namespace="batch",cronjob="report",schedule="30 2 * * *",concurrency_policy="Forbid",timezone="Europe/Berlin"} 1
		kube_cronjob_created{namespace="batch",cronjob="report"} 1500000000
		kube_cronjob_status_active{namespace="batch",cronjob="report"} 2
		kube_cronjob_status_last_schedule_time{namespace="batch",cronjob="report"} 1795138200
		kube_cronjob_status_last_successful_time{namespace="batch",cronjob="report"} 1795052477
		kube_cronjob_spec_suspend{namespace="batch",cronjob="report"} 0
		kube_cronjob_spec_starting_deadline_seconds{namespace="batch",cronjob="report"} 600
		kube_cronjob_next_schedule_time{namespace="batch",cronjob="report"} 1795224600
		kube_cronjob_metadata_resource_version{namespace="batch",cronjob="report"} 332
		kube_cronjob_spec_successful_job_history_limit{namespace="batch",cronjob="report"} 5
		kube_cronjob_spec_failed_job_history_limit{namespace="batch",cronjob="report"} 0
	`)
	checkRendered(t, &cronJobs, Options{}, &batch.CronJob{Spec: batch.CronJobSpec{Schedule: "nonsense"}}, `
		kube_cronjob_info{namespace="",cronjob="",schedule="nonsense",concurrency_policy="",timezone="local"} 1
		kube_cronjob_status_active{namespace="",cronjob=""} 0
		kube_cronjob_schedule_invalid{namespace="",cronjob=""} 1
	`)
}

// TestCronSchedules: when a job is due after a time, in the words of the samples.
func TestCronSchedules(t *testing.T) {
	const invalid, never = "invalid", "-62135596800"
	at := func(text string) string {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(when.Unix(), 10)
	}
	for name, tc := range map[string]struct {
		schedule, zone, after string
		want                  string
	}{
		"quarters":                      {"*/15 * * * *", "", "2026-11-21T05:16:17Z", at("2026-11-21T05:30:00Z")},
		"strictly later":                {"0 9 * * *", "", "2026-11-21T09:00:00Z", at("2026-11-22T09:00:00Z")},
		"both days must fit":            {"0 9 13 * 5", "Etc/UTC", "2026-11-13T09:00:00Z", at("2027-08-13T09:00:00Z")},
		"names and Sunday as 7":         {"5 4 * JAN 7", "", "2026-11-21T00:00:00Z", at("2027-01-03T04:05:00Z")},
		"weekly":                        {"@weekly", "", "2026-11-20T00:00:00Z", at("2026-11-22T00:00:00Z")},
		"every":                         {"@every 90m", "", "2026-11-20T00:00:10Z", at("2026-11-20T01:30:10Z")},
		"every, too often":              {"@every 500ms", "", "2026-11-20T00:00:00Z", invalid},
		"a day that never comes":        {"0 0 30 2 *", "", "2026-11-21T00:00:00Z", never},
		"not within five years":         {"0 0 29 2 1", "", "2026-11-21T00:00:00Z", never},
		"a leap day":                    {"0 0 29 2 *", "", "2026-11-21T00:00:00Z", at("2028-02-29T00:00:00Z")},
		"step as long as the range":     {"*/60 * * * *", "", "2026-11-21T00:00:00Z", invalid},
		"step longer than the range":    {"*/90 * * * *", "", "2026-11-21T00:00:00Z", invalid},
		"step of all days":              {"0 0 */31 * *", "", "2026-11-21T00:00:00Z", invalid},
		"six fields":                    {"0 0 0 * * *", "", "2026-11-21T00:00:00Z", invalid},
		"empty":                         {"", "", "2026-11-21T00:00:00Z", invalid},
		"spring gap":                    {"30 2 * * *", "Europe/Berlin", "2027-03-27T01:30:00Z", at("2027-03-28T01:30:00Z")}, // 03:30 there
		"autumn, the first 02:30":       {"30 2 * * *", "Europe/Berlin", "2026-10-24T00:30:00Z", at("2026-10-25T00:30:00Z")},
		"autumn, the second 02:30":      {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", at("2026-10-25T01:30:00Z")},
		"west of Greenwich":             {"0 0 * * *", "America/New_York", "2026-11-21T04:59:59Z", at("2026-11-21T05:00:00Z")},
		"unknown zone":                  {"0 0 * * *", "Mars/Olympus", "2026-11-21T00:00:00Z", invalid},
		"no name for a zone":            {"0 0 * * *", "../etc/passwd", "2026-11-21T00:00:00Z", invalid},
		"zone in the schedule, as once": {"CRON_TZ=Asia/Tokyo 0 9 * * *", "", "2026-11-21T00:00:01Z", at("2026-11-22T00:00:00Z")},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := time.Parse(time.RFC3339, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			c := &batch.CronJob{Spec: batch.CronJobSpec{Schedule: tc.schedule}}
			if tc.zone != "" {
				c.Spec.TimeZone = &tc.zone
			}
			want := `kube_cronjob_next_schedule_time{namespace="",cronjob=""} ` + tc.want + "\n"
			if tc.want == invalid {
				want = `kube_cronjob_schedule_invalid{namespace="",cronjob=""} 1` + "\n"
			}
			due := []string{"kube_cronjob_next_schedule_time", "kube_cronjob_schedule_invalid"}
			c.CreationTimestamp = meta.NewTime(after.UTC())
			checkRendered(t, &cronJobs, Options{}, c, want, due...)

			last := c.CreationTimestamp
			c.Status.LastScheduleTime, c.CreationTimestamp = &last, meta.Unix(0, 0) // the last goes before
			checkRendered(t, &cronJobs, Options{}, c, want, due...)

			c.Spec.Suspend = ptr(true)
			if tc.want != invalid {
				want = ""
			}
			checkRendered(t, &cronJobs, Options{}, c, want, due...)
		})
	}
}

// TestCronLocalZone: without a zone of its own a schedule goes by the zone of the
// time that it is counted from.
func TestCronLocalZone(t *testing.T) {
	zone := time.FixedZone("there", 3600)
	c := &batch.CronJob{Spec: batch.CronJobSpec{Schedule: "0 12 * * *"}}
	c.CreationTimestamp = meta.NewTime(time.Date(2026, 11, 21, 0, 0, 0, 0, zone))
	checkRendered(t, &cronJobs, Options{}, c, `
		kube_cronjob_next_schedule_time{namespace="",cronjob=""} 1795258800
	`, "kube_cronjob_next_schedule_time")
}

// FuzzCronSchedule: any text for a schedule and a zone is either invalid or gives
// one time at the most, which is later than the one before unless it is never.
func FuzzCronSchedule(f *testing.F) {
	for _, s := range []string{"*/15 * * * *", "0 9 13 * 5", "@weekly", "@every 90m", "30 2 31 2-11/3 MON-fri", "0 0 29 2 ?", "TZ=UTC * * * * *", "@triggered", "\xff * * * *"} {
		f.Add(s, "Europe/Berlin", int64(1795238177))
	}
	f.Add("0 2 * * *", "America/Sao_Paulo", int64(1541300000))
	f.Add("* * * * *", "../../etc/localtime", int64(-1))
	names := []string{"kube_cronjob_info", "kube_cronjob_next_schedule_time", "kube_cronjob_schedule_invalid"}
	r := newRenderer(&cronJobs, Options{Keep: func(name string, _ bool) bool { return slices.Contains(names, name) }})
	f.Fuzz(func(t *testing.T, schedule, zone string, after int64) {
		after %= 1 << 33 // within a few centuries
		c := &batch.CronJob{Spec: batch.CronJobSpec{Schedule: schedule}}
		if zone != "" {
			c.Spec.TimeZone = &zone
		}
		c.CreationTimestamp = meta.Unix(after, 0)
		var out rendering
		r.render(c, &out)
		next, invalid := 0, 0
		s := expo.NewScanner(out.text)
		for s.Next() {
			switch string(s.Line().Name) {
			case "kube_cronjob_next_schedule_time":
				next++
				if v, err := s.Line().Float(); err != nil || v <= float64(after) && v != seconds(time.Time{}) {
					t.Errorf("%q in %q after %d: %v, %v", schedule, zone, after, v, err)
				}
			case "kube_cronjob_schedule_invalid":
				invalid++
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("not read back: %v\n%q", err, out.text)
		}
		if next+invalid != 1 {
			t.Errorf("%q in %q: %d times, %d times invalid", schedule, zone, next, invalid)
		}
	})
}
