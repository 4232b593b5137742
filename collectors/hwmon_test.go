package collectors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchpost/internal/hostfs"
)

// hwmonTree is a chip on a device, one without, two on one device, and files that
// are no sensors'.
func hwmonTree() map[string]string {
	const (
		core = "sys/devices/platform/coretemp.0/hwmon/hwmon0/"
		wmi  = "sys/devices/platform/heron-wmi/hwmon/"
	)
	return map[string]string{
		"sys/class/hwmon/hwmon0": "-> ../../devices/platform/coretemp.0/hwmon/hwmon0",
		core + "device":          "-> ../../../coretemp.0",
		core + "name":            "coretemp\n", core + "temp1_label": "Package id 0\n", core + "temp1_input": "61000\n",
		core + "temp1_crit_alarm": "1\n", core + "temp1_crit": "100000\n", core + "temp2_input": "\n", core + "uevent": "", core + "temp3_input/": "",
		"sys/devices/platform/coretemp.0/fan1_input": "900\n", // beside the chip's folder, as old drivers had it
		"sys/class/hwmon/hwmon1/name":                "GPU (x)\n", "sys/class/hwmon/hwmon1/freq1_input": "214000000\n", "sys/class/hwmon/hwmon1/freq1_label": "sclk\n",
		"sys/class/hwmon/hwmon1/freq2_input": "300000000\n", "sys/class/hwmon/hwmon1/freq3_input": "999000000\n", "sys/class/hwmon/hwmon1/freq3_label": "SCLK\n", "sys/class/hwmon/hwmon1/power1_cap": "120000000\n", "sys/class/hwmon/hwmon1/energy1_input": "1500000\n",
		"sys/class/hwmon/hwmon2": "-> ../../devices/platform/heron-wmi/hwmon/hwmon2",
		"sys/class/hwmon/hwmon3": "-> ../../devices/platform/heron-wmi/hwmon/hwmon3",
		"sys/class/hwmon/hwmon9": "-> ../../devices/platform/gone",
		wmi + "hwmon2/device":    "-> ../../../heron-wmi", wmi + "hwmon2/name": "heron\n", wmi + "hwmon2/pwm1": "128\n", wmi + "hwmon2/pwm1_enable": "2\n",
		wmi + "hwmon3/device": "-> ../../../heron-wmi", wmi + "hwmon3/name": "heron_fans\n", wmi + "hwmon3/beep_enable": "1\n", wmi + "hwmon3/update_interval": "1500\n", wmi + "hwmon3/vrm": "120\n",
	}
}

const hwmonWant = `# TYPE node_hwmon_chip_names gauge
node_hwmon_chip_names{chip="platform_coretemp_0",chip_name="coretemp"} 1
node_hwmon_chip_names{chip="gpu__x",chip_name="gpu__x"} 1
node_hwmon_chip_names{chip="platform_heron_wmi_heron",chip_name="heron"} 1
node_hwmon_chip_names{chip="platform_heron_wmi_heron_fans",chip_name="heron_fans"} 1
# TYPE node_hwmon_sensor_label gauge
node_hwmon_sensor_label{chip="platform_coretemp_0",label="Package id 0",sensor="temp1"} 1
node_hwmon_sensor_label{chip="gpu__x",label="sclk",sensor="freq1"} 1
node_hwmon_sensor_label{chip="gpu__x",label="SCLK",sensor="freq3"} 1
# TYPE node_hwmon_beep_enabled gauge
node_hwmon_beep_enabled{chip="platform_heron_wmi_heron_fans",sensor="beep_enable0"} 1
# TYPE node_hwmon_energy_joule_total counter
node_hwmon_energy_joule_total{chip="gpu__x",sensor="energy1"} 1.5
# TYPE node_hwmon_fan_rpm gauge
node_hwmon_fan_rpm{chip="platform_coretemp_0",sensor="fan1"} 900
# TYPE node_hwmon_freq_freq_mhz gauge
node_hwmon_freq_freq_mhz{chip="gpu__x",sensor="sclk"} 214
# TYPE node_hwmon_power_cap_watt gauge
node_hwmon_power_cap_watt{chip="gpu__x",sensor="power1"} 120
# TYPE node_hwmon_pwm gauge
node_hwmon_pwm{chip="platform_heron_wmi_heron",sensor="pwm1"} 128
# TYPE node_hwmon_pwm_enable gauge
node_hwmon_pwm_enable{chip="platform_heron_wmi_heron",sensor="pwm1"} 2
# TYPE node_hwmon_temp_celsius gauge
node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 61
# TYPE node_hwmon_temp_crit_alarm_celsius gauge
node_hwmon_temp_crit_alarm_celsius{chip="platform_coretemp_0",sensor="temp1"} 1
# TYPE node_hwmon_temp_crit_celsius gauge
node_hwmon_temp_crit_celsius{chip="platform_coretemp_0",sensor="temp1"} 100
# TYPE node_hwmon_update_interval_seconds gauge
node_hwmon_update_interval_seconds{chip="platform_heron_wmi_heron_fans",sensor="update_interval0"} 1.5
# TYPE node_hwmon_voltage_regulator_version gauge
node_hwmon_voltage_regulator_version{chip="platform_heron_wmi_heron_fans",sensor="vrm0"} 120
`

func TestHwmon(t *testing.T) {
	host := tree(t, hwmonTree())
	c := make1(t, "hwmon", on(host))
	same(t, render(t, c), hwmonWant)
	write(t, filepath.Join(host.Root, "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input"), "62500\n", false)
	same(t, render(t, c), strings.Replace(hwmonWant, "} 61\n", "} 62.5\n", 1))
}

func TestHwmonFilters(t *testing.T) {
	host := tree(t, hwmonTree())
	for _, tc := range []struct {
		cfg  HwmonConfig
		want []string // of what there is, by chip and sensor
	}{
		{HwmonConfig{ChipInclude: "heron$"}, []string{"platform_heron_wmi_heron;pwm1"}},
		{HwmonConfig{ChipExclude: "heron|gpu"}, []string{"platform_coretemp_0;fan1", "platform_coretemp_0;temp1"}},
		{HwmonConfig{SensorInclude: "^gpu__x;e"}, []string{"gpu__x;energy1"}},
		{HwmonConfig{ChipInclude: "gpu", SensorExclude: "gpu__x;(freq|power)"}, []string{"gpu__x;energy1"}},
	} {
		cfg := on(host)
		cfg.Hwmon = tc.cfg
		got := make(map[string]bool)
		for series := range values(t, render(t, make1(t, "hwmon", cfg))) {
			if parts := strings.Split(series, `"`); strings.Contains(series, ",sensor=") && len(parts) == 5 {
				got[parts[1]+";"+parts[3]] = true
			}
		}
		for _, w := range tc.want {
			if !got[w] {
				t.Errorf("%+v: %s is missing", tc.cfg, w)
			}
		}
		if len(got) != len(tc.want) {
			t.Errorf("%+v: got %v", tc.cfg, got)
		}
	}
	cfg := on(host)
	cfg.Hwmon = HwmonConfig{ChipInclude: "a", ChipExclude: "b"}
	if _, err := build(cfg, []string{"hwmon"}); err == nil {
		t.Error("patterns that contradict one another were taken")
	}
}

// stuckChip makes the sensors of one chip wait until they are let go.
type stuckChip struct {
	part string
	let  chan struct{}
}

func (s stuckChip) read(f *hostfs.File) hwmonReading {
	if strings.Contains(f.Path(), s.part) {
		<-s.let
	}
	return readHwmon(f)
}

// A chip that does not answer costs its own samples, at no scrape more than one
// patience, and is told of when it has answered.
func TestHwmonStuck(t *testing.T) {
	c := make1(t, "hwmon", on(tree(t, hwmonTree()))).(*hwmon)
	stuck := stuckChip{"/hwmon0/", make(chan struct{})}
	c.readFile, c.patience = stuck.read, 20*time.Millisecond
	has := func() (core, others bool) {
		v := values(t, render(t, c))
		_, core = v[`node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"}`]
		_, others = v[`node_hwmon_pwm{chip="platform_heron_wmi_heron",sensor="pwm1"}`]
		return core, others
	}
	chip := c.chips
	for i := range 3 {
		if core, others := has(); core || !others {
			t.Errorf("scrape %d: the stuck chip is told of: %v, others: %v", i, core, others)
		}
		if i == 1 { // a listing leaves the chip alone
			chip = c.chips
			c.last = time.Time{}
		}
	}
	if c.chips[0] != chip[0] || c.chips[0].busy == nil {
		t.Fatal("the stuck chip was taken from the goroutine that reads it")
	}
	busy := c.chips[0].busy
	close(stuck.let)
	<-busy
	if core, others := has(); !core || !others { // one scrape late, as it was slow
		t.Errorf("after it answered: told of %v, others %v", core, others)
	}
	<-c.chips[0].busy // read in the background for the next scrape
	c.last = time.Time{}
	if core, _ := has(); !core {
		t.Error("a listing lost what the slow chip had said")
	}
	if c.chips[0].slow {
		t.Error("the chip answered quickly, but is taken for slow")
	}
	old := c.now
	c.chips[0].slow, c.now = true, func() time.Time { return old().Add(hwmonAge + time.Minute) }
	if core, _ := has(); core {
		t.Error("values of an hour ago are told as if they were of now")
	}
}

// A sensor that refuses costs its own sample; one that may not be read is an error.
func TestHwmonRefused(t *testing.T) {
	c := make1(t, "hwmon", on(tree(t, hwmonTree()))).(*hwmon)
	c.readFile = func(f *hostfs.File) hwmonReading {
		switch filepath.Base(f.Path()) {
		case "temp1_crit":
			return hwmonReading{}
		case "temp1_input":
			return hwmonReading{err: &fs.PathError{Op: "open", Path: f.Path(), Err: os.ErrPermission}}
		}
		return readHwmon(f)
	}
	text, err := renderErr(c)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "temp1_input") {
		t.Errorf("error %v", err)
	}
	if n, all := len(values(t, text)), strings.Count(hwmonWant, "\nnode_"); n != all-2 {
		t.Errorf("%d samples of %d", n, all)
	}
}

func TestParseHwmonName(t *testing.T) {
	for _, tc := range []struct{ file, sensor, property string }{
		{"temp1_input", "temp1", "input"},
		{"pwm1", "pwm1", ""},
		{"pwm1_auto_point1_pwm", "pwm1", "auto_point1_pwm"},
		{"in0_beep", "in0", "beep"},
		{"update_interval", "update_interval0", ""},
		{"beep_enable", "beep_enable0", ""},
		{"vrm", "vrm0", ""},
		{"temp007_max", "temp7", "max"},
		{"name", "", ""}, {"power", "power0", ""}, {"temp1x", "", ""}, {"temp1_", "", ""}, {"1", "", ""}, {"", "", ""},
		{"temp99999999999999999999_input", "", ""}, {"alarms", "", ""}, {"fan_div", "", ""},
	} {
		_, sensor, property, ok := parseHwmonName(tc.file)
		if sensor != tc.sensor || property != tc.property || ok != (tc.sensor != "") {
			t.Errorf("%s: sensor %q, property %q, %v", tc.file, sensor, property, ok)
		}
	}
}

// The names and units of properties that the tree above does not have.
func TestHwmonName(t *testing.T) {
	for _, tc := range []struct {
		file, name string
		of1000     float64
	}{
		{"temp1_type", "node_hwmon_temp_type", 1000},
		{"temp1_fault", "node_hwmon_temp_fault", 1000},
		{"temp1_max_hyst", "node_hwmon_temp_max_hyst_celsius", 1},
		{"temp1_beep", "node_hwmon_temp_beep_enabled", 1000},
		{"in1_lcrit_alarm", "node_hwmon_in_lcrit_alarm_volts", 1000},
		{"cpu0_vid", "node_hwmon_cpu_vid_volts", 1},
		{"curr1_average", "node_hwmon_curr_average_amps", 1},
		{"power1_accuracy", "node_hwmon_power_accuracy", 0.001},
		{"power1_average_interval_max", "node_hwmon_power_average_interval_max_seconds", 1},
		{"power1_input", "node_hwmon_power_watt", 0.001},
		{"humidity1_input", "node_hwmon_humidity", 0.001},
		{"fan1_target", "node_hwmon_fan_target_rpm", 1000},
		{"fan1_div", "node_hwmon_fan_div", 1000},
		{"intrusion0_alarm", "node_hwmon_intrusion_alarm", 1000},
		{"in3_Weird-Name", "node_hwmon_in_weird_name_volts", 1},
		{"freq1_input", "", 1000},
		{"temp1_label", "", 1000},
	} {
		kind, sensor, property, _ := parseHwmonName(tc.file)
		name, in := hwmonName(hwmonFile{sensor: sensor, kind: kind, property: property})
		if name != tc.name || in.of(1000) != tc.of1000 {
			t.Errorf("%s: %s, 1000 is %v", tc.file, name, in.of(1000))
		}
	}
}

func FuzzHwmon(f *testing.F) {
	for _, s := range []string{"temp1_input", "fan1", "pwm1_auto_point1_pwm", "in0_a-b", "freq1_input", "cpu0_vid"} {
		f.Add(s, "1000\n")
	}
	f.Add("temp1_x", "1e300")
	f.Add("energy1_\xff", "NaN")
	var h hwmon
	f.Fuzz(func(t *testing.T, name, text string) {
		if kind, sensor, property, ok := parseHwmonName(name); ok {
			if n, _ := hwmonName(hwmonFile{sensor: sensor, kind: kind, property: property}); n != "" {
				h.family(n) // panics if it is not a metric's name
			}
		}
		if v, ok := parseHwmonValue([]byte(text)); ok && v != v {
			t.Errorf("%q is %v", text, v)
		}
	})
}
