package collectors

import (
	"strings"
	"testing"
)

func TestThermalZone(t *testing.T) {
	files := map[string]string{
		"sys/class/thermal/thermal_zone0/type":        "acpitz\n",
		"sys/class/thermal/thermal_zone0/temp":        "12376\n",
		"sys/class/thermal/thermal_zone1/type":        "iwlwifi_1\n", // its card is off: no temperature
		"sys/class/thermal/thermal_zone1/temp":        "\n",
		"sys/class/thermal/thermal_zone10/type":       "freezer\n",
		"sys/class/thermal/thermal_zone10/temp":       "-18500\n",
		"sys/class/thermal/cooling_device0/type":      "Processor\n",
		"sys/class/thermal/cooling_device0/cur_state": "0\n",
		"sys/class/thermal/cooling_device0/max_state": "3\n",
		"sys/class/thermal/cooling_device1/type":      "intel_powerclamp\n",
		"sys/class/thermal/cooling_device1/cur_state": "-1\n",
		"sys/class/thermal/cooling_device1/max_state": "50\n",
	}
	want := `# TYPE node_thermal_zone_temp gauge
node_thermal_zone_temp{type="acpitz",zone="0"} 12.376
node_thermal_zone_temp{type="freezer",zone="10"} -18.5
# TYPE node_cooling_device_cur_state gauge
node_cooling_device_cur_state{name="0",type="Processor"} 0
node_cooling_device_cur_state{name="1",type="intel_powerclamp"} -1
# TYPE node_cooling_device_max_state gauge
node_cooling_device_max_state{name="0",type="Processor"} 3
node_cooling_device_max_state{name="1",type="intel_powerclamp"} 50
`
	same(t, render(t, make1(t, "thermal_zone", on(tree(t, files)))), want)

	files["sys/class/thermal/thermal_zone10/temp"] = "cold\n"
	text, err := renderErr(make1(t, "thermal_zone", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "thermal_zone10/temp") {
		t.Errorf("error %v", err)
	}
	same(t, text, strings.Replace(want, "node_thermal_zone_temp{type=\"freezer\",zone=\"10\"} -18.5\n", "", 1))
}
