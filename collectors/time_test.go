package collectors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchpost/internal/hostfs"
)

var clockTexts = map[string]string{
	"sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
	"sys/devices/system/clocksource/clocksource0/current_clocksource":   "tsc\n",
	"sys/devices/system/clocksource/clocksource1/available_clocksource": "dummy\n",
	"sys/devices/system/clocksource/clocksource1/current_clocksource":   "dummy\n",
	"sys/devices/system/clocksource/power/control":                      "auto\n",
}

// at is a clock collector for a host whose time stands still.
func at(t *testing.T, fs hostfs.FS, now time.Time) *clock {
	c := make1(t, "time", on(fs)).(*clock)
	c.now = func() time.Time { return now }
	return c
}

func TestTime(t *testing.T) {
	fs := tree(t, clockTexts)
	now := time.Unix(1418183276, 250e6).In(time.FixedZone("CEST", 7200))
	c := at(t, fs, now)
	want := `# TYPE node_time_seconds gauge
node_time_seconds 1.41818327625e+09
# TYPE node_time_zone_offset_seconds gauge
node_time_zone_offset_seconds{time_zone="CEST"} 7200
`
	first := `# TYPE node_time_clocksource_available_info gauge
node_time_clocksource_available_info{clocksource="tsc",device="0"} 1
node_time_clocksource_available_info{clocksource="hpet",device="0"} 1
node_time_clocksource_available_info{clocksource="acpi_pm",device="0"} 1
`
	second := `node_time_clocksource_available_info{clocksource="dummy",device="1"} 1
`
	current := `# TYPE node_time_clocksource_current_info gauge
node_time_clocksource_current_info{clocksource="tsc",device="0"} 1
`
	same(t, render(t, c), want+first+second+current+`node_time_clocksource_current_info{clocksource="dummy",device="1"} 1
`)

	// The kernel leaves its clock source, and a device goes.
	write(t, fs.SysPath("devices/system/clocksource/clocksource0/current_clocksource"), "hpet\n", false)
	current = strings.Replace(current, "tsc", "hpet", 1)
	if err := os.RemoveAll(fs.SysPath("devices/system/clocksource/clocksource1")); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return now.Add(clockDevicesAge) }
	text := render(t, c)
	if i := strings.Index(text, first); i < 0 || text[i:] != first+current {
		t.Errorf("says\n%s", text)
	}
}

// A device that goes between two listings loses its own samples.
func TestTimeVanishing(t *testing.T) {
	fs := tree(t, clockTexts)
	c := at(t, fs, time.Now())
	if err := c.list(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(fs.SysPath("devices/system/clocksource/clocksource0")); err != nil {
		t.Fatal(err)
	}
	c.listed = c.now()
	v := values(t, render(t, c))
	if len(v) != 4 || v[`node_time_clocksource_current_info{clocksource="dummy",device="1"}`] != 1 {
		t.Errorf("says %v", v)
	}
}

// No kernel has so many clock sources; one that is named twice is one.
func TestTimeMany(t *testing.T) {
	const file = "sys/devices/system/clocksource/clocksource0/available_clocksource"
	var names strings.Builder
	for i := range maxClockSources {
		fmt.Fprintf(&names, "c%d c%d ", i, i)
	}
	if v := values(t, render(t, at(t, tree(t, map[string]string{file: names.String()}), time.Now()))); len(v) != 2+maxClockSources {
		t.Errorf("%d series", len(v))
	}
	if _, err := renderErr(at(t, tree(t, map[string]string{file: names.String() + "more\n"}), time.Now())); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

// A file that cannot be read is named; the clock is told all the same.
func TestTimeBad(t *testing.T) {
	fs := tree(t, map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource/": ""})
	text, err := renderErr(at(t, fs, time.Unix(5, 0)))
	if err == nil || !strings.Contains(err.Error(), filepath.Join("clocksource0", "current_clocksource")) {
		t.Errorf("error %v", err)
	}
	if v := values(t, text); v["node_time_seconds"] != 5 {
		t.Errorf("says %v", v)
	}
}

func TestTimeLive(t *testing.T) {
	b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		t.Skip(err)
	}
	before := float64(time.Now().UnixNano()) / 1e9
	v := values(t, render(t, make1(t, "time", on(hostfs.Default))))
	after := float64(time.Now().UnixNano()) / 1e9
	if s := v["node_time_seconds"]; s < before || s > after {
		t.Errorf("%v is not between %v and %v", s, before, after)
	}
	if name := strings.TrimSpace(string(b)); v[`node_time_clocksource_current_info{clocksource="`+name+`",device="0"}`] != 1 {
		t.Errorf("no %s in %v", name, v)
	}
}
