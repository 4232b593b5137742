package collectors

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asked is a clock that answers with v.
func asked(v unix.Timex, state int, err error) *timex {
	return &timex{live: true, adjust: func(to *unix.Timex) (int, error) {
		if to.Modes != 0 {
			return 0, errors.New("asked to change the clock")
		}
		*to = v
		return state, err
	}}
}

func TestTimex(t *testing.T) {
	v := unix.Timex{
		Offset: -250, Freq: 65536 * 10, Maxerror: 500000, Esterror: 16, Status: 1, Constant: 7, Tick: 10000,
		Ppsfreq: 131072, Jitter: 3, Shift: 4, Stabil: 65536, Jitcnt: 11, Calcnt: 12, Errcnt: 13, Stbcnt: 14, Tai: 37,
	}
	want := `# TYPE node_timex_sync_status gauge
node_timex_sync_status 1
# TYPE node_timex_offset_seconds gauge
node_timex_offset_seconds -0.00025
# TYPE node_timex_frequency_adjustment_ratio gauge
node_timex_frequency_adjustment_ratio 1.00001
# TYPE node_timex_maxerror_seconds gauge
node_timex_maxerror_seconds 0.5
# TYPE node_timex_estimated_error_seconds gauge
node_timex_estimated_error_seconds 1.6e-05
# TYPE node_timex_status gauge
node_timex_status 1
# TYPE node_timex_loop_time_constant gauge
node_timex_loop_time_constant 7
# TYPE node_timex_tick_seconds gauge
node_timex_tick_seconds 0.01
# TYPE node_timex_pps_frequency_hertz gauge
node_timex_pps_frequency_hertz 2e-06
# TYPE node_timex_pps_jitter_seconds gauge
node_timex_pps_jitter_seconds 3e-06
# TYPE node_timex_pps_shift_seconds gauge
node_timex_pps_shift_seconds 4
# TYPE node_timex_pps_stability_hertz gauge
node_timex_pps_stability_hertz 1e-06
# TYPE node_timex_pps_jitter_total counter
node_timex_pps_jitter_total 11
# TYPE node_timex_pps_calibration_total counter
node_timex_pps_calibration_total 12
# TYPE node_timex_pps_error_total counter
node_timex_pps_error_total 13
# TYPE node_timex_pps_stability_exceeded_total counter
node_timex_pps_stability_exceeded_total 14
# TYPE node_timex_tai_offset_seconds gauge
node_timex_tai_offset_seconds 37
`
	same(t, render(t, asked(v, 0, nil)), want)

	v.Status |= timexNanoseconds
	want = strings.NewReplacer("_status 1\n# TYPE node_timex_loop", "_status 8193\n# TYPE node_timex_loop",
		"sync_status 1\n", "sync_status 0\n", "-0.00025", "-2.5e-07", "jitter_seconds 3e-06", "jitter_seconds 3e-09").Replace(want)
	same(t, render(t, asked(v, timexUnsynchronized, nil)), want)
}

func TestTimexRefused(t *testing.T) {
	if _, err := renderErr(asked(unix.Timex{}, 0, unix.EPERM)); !errors.Is(err, ErrNoData) {
		t.Errorf("forbidden: %v", err)
	}
	if _, err := renderErr(asked(unix.Timex{}, 0, unix.ENOSYS)); err == nil || errors.Is(err, ErrNoData) {
		t.Errorf("not known: %v", err)
	}
}

// The host's own clock ticks as adjtimex says.
func TestTimexLive(t *testing.T) {
	out, err := renderErr(make1(t, "timex", DefaultConfig()))
	if errors.Is(err, ErrNoData) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, out)
	if tick := v["node_timex_tick_seconds"]; tick < 0.009 || tick > 0.011 {
		t.Errorf("a tick of %v s", tick)
	}
	if f := v["node_timex_frequency_adjustment_ratio"]; f < 0.999 || f > 1.001 {
		t.Errorf("frequency %v", f)
	}
}
