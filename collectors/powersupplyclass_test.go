package collectors

import (
	"path/filepath"
	"strings"
	"testing"
)

func powerSupplyTree() map[string]string {
	const dir = "sys/class/power_supply/"
	return map[string]string{
		dir + "AC/online": "0\n", dir + "AC/type": "Mains\n", dir + "AC/power/control": "auto\n",
		dir + "BAT0/type": "Battery\n", dir + "BAT0/status": "Discharging\n", dir + "BAT0/model_name": "LNV-45N1\xff\n", dir + "BAT0/manufacturer": " \n",
		dir + "BAT0/energy_now": "36580000\n", dir + "BAT0/current_now": "-1250000\n", dir + "BAT0/temp": "315\n", dir + "BAT0/capacity": "81\n", dir + "BAT0/present": "\n",
	}
}

const powerSupplyWant = `# TYPE node_power_supply_info gauge
node_power_supply_info{power_supply="AC",type="Mains"} 1
node_power_supply_info{model_name="LNV-45N1` + "\uFFFD" + `",power_supply="BAT0",status="Discharging",type="Battery"} 1
# TYPE node_power_supply_capacity gauge
node_power_supply_capacity{power_supply="BAT0"} 81
# TYPE node_power_supply_current_ampere gauge
node_power_supply_current_ampere{power_supply="BAT0"} -1.25
# TYPE node_power_supply_energy_watthour gauge
node_power_supply_energy_watthour{power_supply="BAT0"} 36.58
# TYPE node_power_supply_online gauge
node_power_supply_online{power_supply="AC"} 0
# TYPE node_power_supply_temp_celsius gauge
node_power_supply_temp_celsius{power_supply="BAT0"} 31.5
`

func TestPowerSupply(t *testing.T) {
	host := tree(t, powerSupplyTree())
	c := make1(t, "powersupplyclass", on(host))
	same(t, render(t, c), powerSupplyWant)

	// Words change as well as numbers, and with them which labels there are.
	bat := filepath.Join(host.Sys, "class/power_supply/BAT0")
	write(t, filepath.Join(bat, "status"), "\n", false)
	write(t, filepath.Join(bat, "capacity"), "82\n", false)
	want := strings.Replace(powerSupplyWant, `status="Discharging",`, "", 1)
	same(t, render(t, c), strings.Replace(want, "} 81\n", "} 82\n", 1))

	cfg := on(host)
	cfg.PowerSupply.IgnoredSupplies = "^BAT"
	if v := values(t, render(t, make1(t, "powersupplyclass", cfg))); len(v) != 2 {
		t.Errorf("said %v", v)
	}
	cfg.PowerSupply.IgnoredSupplies = "("
	if _, err := build(cfg, []string{"powersupplyclass"}); err == nil {
		t.Error("a pattern that is none was taken")
	}
}

func TestPowerSupplyBad(t *testing.T) {
	files := powerSupplyTree()
	files["sys/class/power_supply/BAT0/temp"] = "warm\n"
	text, err := renderErr(make1(t, "powersupplyclass", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "BAT0/temp") || len(values(t, text)) != 6 {
		t.Errorf("%v, said %s", err, text)
	}
}
