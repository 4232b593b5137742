package collectors

// How well the clock is kept, from adjtimex(2) (kernel: kernel/time/ntp.c,
// include/uapi/linux/timex.h). Frequencies are in parts per million with 16 bits of
// fraction; offset and jitter are in microseconds, or in nanoseconds where STA_NANO
// is set. The pps values are of a pulse-per-second signal and 0 without one.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
)

var (
	timexOffset    = expo.Gauge("node_timex_offset_seconds", "How far the clock is from its reference.")
	timexFrequency = expo.Gauge("node_timex_frequency_adjustment_ratio", "How much faster than its oscillator the clock is run.")
	timexMaxError  = expo.Gauge("node_timex_maxerror_seconds", "The clock's largest possible error.")
	timexEstimated = expo.Gauge("node_timex_estimated_error_seconds", "The clock's estimated error.")
	timexStatus    = expo.Gauge("node_timex_status", "The STA_* bits, as a number.")
	timexConstant  = expo.Gauge("node_timex_loop_time_constant", "Time constant of the phase-locked loop.")
	timexTick      = expo.Gauge("node_timex_tick_seconds", "Time between two ticks of the clock.")
	timexPPSFreq   = expo.Gauge("node_timex_pps_frequency_hertz", "Frequency of the pulse per second, as it differs from the nominal one.")
	timexPPSJitter = expo.Gauge("node_timex_pps_jitter_seconds", "Jitter of the pulse per second.")
	timexPPSShift  = expo.Gauge("node_timex_pps_shift_seconds", "Length of a calibration interval, as a power of two.")
	timexPPSStable = expo.Gauge("node_timex_pps_stability_hertz", "How much the pulse's frequency changed lately, on average.")
	timexJitters   = expo.Counter("node_timex_pps_jitter_total", "Pulses beyond the limit of jitter.")
	timexIntervals = expo.Counter("node_timex_pps_calibration_total", "Calibration intervals.")
	timexErrors    = expo.Counter("node_timex_pps_error_total", "Calibration intervals that failed.")
	timexUnstable  = expo.Counter("node_timex_pps_stability_exceeded_total", "Calibration intervals beyond the limit of stability.")
	timexTAI       = expo.Gauge("node_timex_tai_offset_seconds", "How far atomic time (TAI) is ahead of UTC, where the kernel has been told.")
	timexSync      = expo.Gauge("node_timex_sync_status", "Whether the clock is synchronized to a reference.")
)

const (
	timexUnsynchronized = 5       // TIME_ERROR
	timexNanoseconds    = 0x2000  // STA_NANO
	timexFraction       = 1 << 16 // of parts per million
)

type timex struct {
	live   bool
	adjust func(*unix.Timex) (state int, err error)
	v      unix.Timex // as last read
}

func newTimex(c Config) (Collector, error) {
	return &timex{live: c.FS.Live(), adjust: unix.Adjtimex}, nil
}

// Collect implements Collector.
func (t *timex) Collect(_ context.Context, w *expo.Writer) error {
	if !t.live {
		return fmt.Errorf("%w: the clock of a captured host cannot be asked", ErrNoData)
	}
	t.v = unix.Timex{} // no mode: only asks
	state, err := t.adjust(&t.v)
	if errors.Is(err, fs.ErrPermission) { // a seccomp profile that knows no asking from setting
		return fmt.Errorf("%w: adjtimex: %w", ErrNoData, err)
	}
	if err != nil {
		return fmt.Errorf("adjtimex: %w", err)
	}
	writeTimex(w, &t.v, state)
	return nil
}

func writeTimex(w *expo.Writer, v *unix.Timex, state int) {
	fine := 1e6
	if v.Status&timexNanoseconds != 0 {
		fine = 1e9
	}
	const ppm = 1e6 * timexFraction
	synced := 1.0
	if state == timexUnsynchronized {
		synced = 0
	}
	w.Sample(timexSync, synced)
	w.Sample(timexOffset, float64(v.Offset)/fine)
	w.Sample(timexFrequency, 1+float64(v.Freq)/ppm)
	w.Sample(timexMaxError, float64(v.Maxerror)/1e6)
	w.Sample(timexEstimated, float64(v.Esterror)/1e6)
	w.Sample(timexStatus, float64(v.Status))
	w.Sample(timexConstant, float64(v.Constant))
	w.Sample(timexTick, float64(v.Tick)/1e6)
	w.Sample(timexPPSFreq, float64(v.Ppsfreq)/ppm)
	w.Sample(timexPPSJitter, float64(v.Jitter)/fine)
	w.Sample(timexPPSShift, float64(v.Shift))
	w.Sample(timexPPSStable, float64(v.Stabil)/ppm)
	w.Sample(timexJitters, float64(v.Jitcnt))
	w.Sample(timexIntervals, float64(v.Calcnt))
	w.Sample(timexErrors, float64(v.Errcnt))
	w.Sample(timexUnstable, float64(v.Stbcnt))
	w.Sample(timexTAI, float64(v.Tai))
}
