package collectors

// Batteries and mains adapters, from /sys/class/power_supply (kernel:
// Documentation/ABI/testing/sysfs-class-power): a folder for each, in which a
// driver has the files that it supports. Charge, current, energy, power and
// voltage are in millionths, temperatures in tenths of a degree.
//
//	BAT0/status:       Discharging
//	BAT0/energy_now:   36580000
//	AC/online:         0

import (
	"context"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// PowerSupplyConfig configures the powersupplyclass collector.
type PowerSupplyConfig struct {
	IgnoredSupplies string // regular expression: the supplies to leave out
}

// DefaultPowerSupplyIgnored leaves nothing out.
const DefaultPowerSupplyIgnored = "^$"

var powerSupplyInfo = expo.Gauge("node_power_supply_info", "What a power supply is and what state it is in, as far as its driver says; always 1.")

// powerSupplyTexts are the labels of powerSupplyInfo and the files that they come
// from, which have the same names. The supply's own name is among the labels.
var powerSupplyTexts = [...]string{
	"capacity_level", "charge_type", "health", "manufacturer", "model_name", "power_supply",
	"scope", "serial_number", "status", "technology", "type", "usb_type",
}

var (
	micro = conversion{per: 1e6}
	tenth = conversion{per: 10}
)

var powerSupplyAttributes = []attribute{
	{"authentic", expo.Gauge("node_power_supply_authentic", "Whether the battery is a genuine one.", "power_supply"), conversion{}},
	{"calibrate", expo.Gauge("node_power_supply_calibrate", "Whether the battery is being calibrated.", "power_supply"), conversion{}},
	{"capacity", expo.Gauge("node_power_supply_capacity", "How full the battery is, in percent.", "power_supply"), conversion{}},
	{"capacity_alert_max", expo.Gauge("node_power_supply_capacity_alert_max", "Percentage above which the battery gives an alarm.", "power_supply"), conversion{}},
	{"capacity_alert_min", expo.Gauge("node_power_supply_capacity_alert_min", "Percentage below which the battery gives an alarm.", "power_supply"), conversion{}},
	{"charge_now", expo.Gauge("node_power_supply_charge_ampere", "Charge of the battery in ampere-hours.", "power_supply"), micro},
	{"charge_control_limit", expo.Gauge("node_power_supply_charge_control_limit", "Limit put on the charging current, in amperes.", "power_supply"), micro},
	{"charge_control_limit_max", expo.Gauge("node_power_supply_charge_control_limit_max", "Highest limit that can be put on the charging current, in amperes.", "power_supply"), micro},
	{"charge_counter", expo.Gauge("node_power_supply_charge_counter", "Charge that went in and out, as the gauge counts it, in ampere-hours.", "power_supply"), micro},
	{"charge_empty", expo.Gauge("node_power_supply_charge_empty", "Charge at which the battery counted as empty last, in ampere-hours.", "power_supply"), micro},
	{"charge_empty_design", expo.Gauge("node_power_supply_charge_empty_design", "Charge at which the battery is empty by design, in ampere-hours.", "power_supply"), micro},
	{"charge_full", expo.Gauge("node_power_supply_charge_full", "Charge at which the battery counted as full last, in ampere-hours.", "power_supply"), micro},
	{"charge_full_design", expo.Gauge("node_power_supply_charge_full_design", "Charge at which the battery is full by design, in ampere-hours.", "power_supply"), micro},
	{"charge_term_current", expo.Gauge("node_power_supply_charge_term_current", "Current at which charging ends, in amperes.", "power_supply"), micro},
	{"constant_charge_current", expo.Gauge("node_power_supply_constant_charge_current", "Current that the charger keeps to, in amperes.", "power_supply"), micro},
	{"constant_charge_current_max", expo.Gauge("node_power_supply_constant_charge_current_max", "Highest current that the charger can keep to, in amperes.", "power_supply"), micro},
	{"constant_charge_voltage", expo.Gauge("node_power_supply_constant_charge_voltage", "Voltage that the charger keeps to, in volts.", "power_supply"), micro},
	{"constant_charge_voltage_max", expo.Gauge("node_power_supply_constant_charge_voltage_max", "Highest voltage that the charger can keep to, in volts.", "power_supply"), micro},
	{"current_now", expo.Gauge("node_power_supply_current_ampere", "Current that flows, in amperes; some drivers write it negative while discharging.", "power_supply"), micro},
	{"current_boot", expo.Gauge("node_power_supply_current_boot", "Current at boot, in amperes.", "power_supply"), micro},
	{"current_max", expo.Gauge("node_power_supply_current_max", "Highest current that the supply can give, in amperes.", "power_supply"), micro},
	{"cycle_count", expo.Gauge("node_power_supply_cyclecount", "How many times the battery was charged and discharged.", "power_supply"), conversion{}},
	{"energy_empty", expo.Gauge("node_power_supply_energy_empty", "Energy at which the battery counted as empty last, in watt-hours.", "power_supply"), micro},
	{"energy_empty_design", expo.Gauge("node_power_supply_energy_empty_design", "Energy at which the battery is empty by design, in watt-hours.", "power_supply"), micro},
	{"energy_full", expo.Gauge("node_power_supply_energy_full", "Energy at which the battery counted as full last, in watt-hours.", "power_supply"), micro},
	{"energy_full_design", expo.Gauge("node_power_supply_energy_full_design", "Energy at which the battery is full by design, in watt-hours.", "power_supply"), micro},
	{"energy_now", expo.Gauge("node_power_supply_energy_watthour", "Energy left in the battery, in watt-hours.", "power_supply"), micro},
	{"input_current_limit", expo.Gauge("node_power_supply_input_current_limit", "Limit put on the current taken in, in amperes.", "power_supply"), micro},
	{"online", expo.Gauge("node_power_supply_online", "Whether the supply is plugged in: 0 no, 1 fixed, 2 programmable.", "power_supply"), conversion{}},
	{"power_now", expo.Gauge("node_power_supply_power_watt", "Power that flows, in watts.", "power_supply"), micro},
	{"precharge_current", expo.Gauge("node_power_supply_precharge_current", "Current at which an empty battery begins to be charged, in amperes.", "power_supply"), micro},
	{"present", expo.Gauge("node_power_supply_present", "Whether the battery is there.", "power_supply"), conversion{}},
	{"temp_alert_max", expo.Gauge("node_power_supply_temp_alert_max_celsius", "Temperature above which the battery gives an alarm.", "power_supply"), tenth},
	{"temp_alert_min", expo.Gauge("node_power_supply_temp_alert_min_celsius", "Temperature below which the battery gives an alarm.", "power_supply"), tenth},
	{"temp_ambient", expo.Gauge("node_power_supply_temp_ambient_celsius", "Temperature around the supply.", "power_supply"), tenth},
	{"temp_ambient_alert_max", expo.Gauge("node_power_supply_temp_ambient_max_celsius", "Temperature around the supply above which it gives an alarm.", "power_supply"), tenth},
	{"temp_ambient_alert_min", expo.Gauge("node_power_supply_temp_ambient_min_celsius", "Temperature around the supply below which it gives an alarm.", "power_supply"), tenth},
	{"temp", expo.Gauge("node_power_supply_temp_celsius", "Temperature of the supply.", "power_supply"), tenth},
	{"temp_max", expo.Gauge("node_power_supply_temp_max_celsius", "Highest temperature that the supply may have.", "power_supply"), tenth},
	{"temp_min", expo.Gauge("node_power_supply_temp_min_celsius", "Lowest temperature that the supply may have.", "power_supply"), tenth},
	{"time_to_empty_now", expo.Gauge("node_power_supply_time_to_empty_seconds", "Time until the battery is empty.", "power_supply"), conversion{}},
	{"time_to_full_now", expo.Gauge("node_power_supply_time_to_full_seconds", "Time until the battery is full.", "power_supply"), conversion{}},
	{"voltage_boot", expo.Gauge("node_power_supply_voltage_boot", "Voltage at boot, in volts.", "power_supply"), micro},
	{"voltage_max", expo.Gauge("node_power_supply_voltage_max", "Highest voltage measured or possible, in volts.", "power_supply"), micro},
	{"voltage_max_design", expo.Gauge("node_power_supply_voltage_max_design", "Highest voltage by design, in volts.", "power_supply"), micro},
	{"voltage_min", expo.Gauge("node_power_supply_voltage_min", "Lowest voltage measured or possible, in volts.", "power_supply"), micro},
	{"voltage_min_design", expo.Gauge("node_power_supply_voltage_min_design", "Lowest voltage by design, in volts.", "power_supply"), micro},
	{"voltage_ocv", expo.Gauge("node_power_supply_voltage_ocv", "Voltage of the battery with nothing connected, in volts.", "power_supply"), micro},
	{"voltage_now", expo.Gauge("node_power_supply_voltage_volt", "Voltage, in volts.", "power_supply"), micro},
}

type powerSupply struct {
	deviceClass
	dir      string
	ignored  *Filter
	infos    []textRow
	families map[uint16]*expo.Family // powerSupplyInfo, by which of its labels are there
	values   []string                // buffer
}

func newPowerSupply(c Config) (Collector, error) {
	ignored, err := NewFilter("", c.PowerSupply.IgnoredSupplies)
	if err != nil {
		return nil, err
	}
	p := &powerSupply{
		deviceClass: newDeviceClass(powerSupplyAttributes),
		dir:         c.FS.SysPath("class/power_supply"),
		ignored:     ignored,
		families:    make(map[uint16]*expo.Family),
	}
	p.list = p.listSupplies
	return p, nil
}

// Collect implements Collector.
func (p *powerSupply) Collect(_ context.Context, w *expo.Writer) error {
	if err := p.refresh(); err != nil {
		return absent(err)
	}
	var failed failures
	for i := range p.infos {
		r := &p.infos[i]
		if !r.read(&failed) {
			p.stale = true
			continue
		}
		w.Sample(p.family(r), 1, p.values...)
	}
	p.write(w, &failed)
	return failed.err()
}

// family is powerSupplyInfo with the labels that the supply has a text for, whose
// values it puts into p.values.
func (p *powerSupply) family(r *textRow) *expo.Family {
	var there uint16
	p.values = p.values[:0]
	for i, label := range powerSupplyTexts {
		text := r.texts[i]
		if label == "power_supply" {
			text = r.device
		}
		if text != "" {
			there |= 1 << i
			p.values = append(p.values, text)
		}
	}
	f := p.families[there]
	if f == nil {
		var labels []string
		for i, label := range powerSupplyTexts {
			if there&(1<<i) != 0 {
				labels = append(labels, label)
			}
		}
		f = powerSupplyInfo.With(labels...)
		p.families[there] = f
	}
	return f
}

func (p *powerSupply) listSupplies() error {
	for i := range p.infos {
		p.infos[i].close()
	}
	p.infos = p.infos[:0]
	names, err := hostfs.ReadDirNames(p.dir)
	for _, name := range names {
		if p.ignored.Keep(name) {
			p.add(p.dir+"/"+name, name)
			p.infos = append(p.infos, newTextRow(p.dir, name, powerSupplyTexts[:]))
		}
	}
	return err
}
