package collectors

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// The families, by type and property of a sensor. A chip's driver may have
// properties that are not among them: their families are made when they are seen.

var (
	hwmonChipNames   = expo.Gauge("node_hwmon_chip_names", "What the driver of a chip calls it; always 1.", "chip", "chip_name")
	hwmonSensorLabel = expo.Gauge("node_hwmon_sensor_label", "What a sensor is called; always 1.", "chip", "label", "sensor")
)

var hwmonFamilies = [...]*expo.Family{
	expo.Gauge("node_hwmon_beep_enabled", "Whether the chip beeps when there is an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_cpu_volts", "Voltage of a processor core.", "chip", "sensor"),
	expo.Gauge("node_hwmon_curr_amps", "Current.", "chip", "sensor"),
	expo.Counter("node_hwmon_energy_joule_total", "Energy used.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_alarm", "Whether the fan gives an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_beep_enabled", "Whether the chip beeps when the fan gives an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_manual", "Whether the fan's speed is set by hand.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_max_rpm", "Highest speed of the fan, in turns a minute.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_min_rpm", "Lowest speed of the fan, in turns a minute; below it there is an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_output", "Speed that the fan was told to have, in turns a minute.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_pulses", "Pulses that the fan gives in one turn.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_rpm", "Speed of the fan, in turns a minute.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_target_rpm", "Speed that the fan is to have, in turns a minute.", "chip", "sensor"),
	expo.Gauge("node_hwmon_fan_tolerance", "How far the fan's speed may be from its target.", "chip", "sensor"),
	expo.Gauge("node_hwmon_freq_freq_mhz", "Frequency of a clock of a graphics card, in MHz; the sensor is named by its label.", "chip", "sensor"),
	expo.Gauge("node_hwmon_humidity", "Humidity.", "chip", "sensor"),
	expo.Gauge("node_hwmon_in_alarm", "Whether the voltage gives an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_in_beep_enabled", "Whether the chip beeps when the voltage gives an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_in_max_volts", "Voltage above which there is an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_in_min_volts", "Voltage below which there is an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_in_volts", "Voltage.", "chip", "sensor"),
	expo.Gauge("node_hwmon_intrusion_alarm", "Whether the case was opened.", "chip", "sensor"),
	expo.Gauge("node_hwmon_intrusion_beep_enabled", "Whether the chip beeps when the case is opened.", "chip", "sensor"),
	expo.Gauge("node_hwmon_power_accuracy", "Accuracy of the power meter, as a ratio.", "chip", "sensor"),
	expo.Gauge("node_hwmon_power_average_interval_max_seconds", "Longest time over which power can be averaged.", "chip", "sensor"),
	expo.Gauge("node_hwmon_power_average_interval_min_seconds", "Shortest time over which power can be averaged.", "chip", "sensor"),
	expo.Gauge("node_hwmon_power_average_interval_seconds", "Time over which power is averaged.", "chip", "sensor"),
	expo.Gauge("node_hwmon_power_watt", "Power.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm", "Power given to a fan, 0 to 255.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point1_pwm", "Power given to a fan at point 1 of its curve.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point1_temp", "Temperature at point 1 of a fan's curve, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point2_pwm", "Power given to a fan at point 2 of its curve.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point2_temp", "Temperature at point 2 of a fan's curve, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point3_pwm", "Power given to a fan at point 3 of its curve.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point3_temp", "Temperature at point 3 of a fan's curve, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point4_pwm", "Power given to a fan at point 4 of its curve.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point4_temp", "Temperature at point 4 of a fan's curve, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point5_pwm", "Power given to a fan at point 5 of its curve.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_auto_point5_temp", "Temperature at point 5 of a fan's curve, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_crit_temp_tolerance", "How far below the critical temperature a fan leaves full power, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_enable", "How a fan is governed: 0 full power, 1 by hand, above that by the chip.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_floor", "Least power given to a fan.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_mode", "How power is given to a fan: 0 by voltage, 1 by pulses.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_start", "Power at which a fan starts to turn.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_step_down_time", "Time before the power given to a fan is lowered, in milliseconds.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_step_up_time", "Time before the power given to a fan is raised, in milliseconds.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_stop_time", "Time after which a fan that may stop does, in milliseconds.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_target_temp", "Temperature that a fan is to keep, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_temp_sel", "Which temperature governs a fan.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_temp_tolerance", "How far the temperature may be from a fan's target, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_duty_base", "Power added to a fan's when its second temperature comes into play.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_duty_step", "Power added for each step of a fan's second temperature.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_temp_sel", "Which temperature is a fan's second.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_temp_step", "Size of a step of a fan's second temperature, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_temp_step_base", "Where the steps of a fan's second temperature begin, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_pwm_weight_temp_step_tol", "Tolerance of the steps of a fan's second temperature, in thousandths of a degree.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_alarm", "Whether the temperature gives an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_celsius", "Temperature.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_crit_alarm_celsius", "Whether the temperature is critical: 0 or 1, whatever the name says.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_crit_celsius", "Temperature at which the hardware protects itself.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_fault", "Whether the thermometer is broken or not connected.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_max_celsius", "Temperature above which there is an alarm.", "chip", "sensor"),
	expo.Gauge("node_hwmon_temp_type", "What kind of thermometer it is: 1 a diode of the processor, 2 a transistor, 3 a diode, 4 a thermistor, 5 and 6 read over a bus.", "chip", "sensor"),
	expo.Gauge("node_hwmon_update_interval_seconds", "How often the chip measures.", "chip", "sensor"),
	expo.Gauge("node_hwmon_voltage_regulator_version", "Version of the voltage regulator, times ten.", "chip", "sensor"),
}

// family is the family of that name.
func (h *hwmon) family(name string) *expo.Family {
	if h.families.family == nil {
		h.families.family = func(name string) *expo.Family {
			if f := pickFamily(hwmonFamilies[:], name); f != nil {
				return f
			}
			property := strings.ReplaceAll(strings.TrimPrefix(name, "node_hwmon_"), "_", " ")
			if strings.HasSuffix(name, "_joule_total") {
				return expo.Counter("node_hwmon_"+strings.TrimPrefix(name, "node_hwmon_"), "Property of a sensor: "+property+".", "chip", "sensor")
			}
			return expo.Gauge("node_hwmon_"+strings.TrimPrefix(name, "node_hwmon_"), "Property of a sensor: "+property+".", "chip", "sensor")
		}
	}
	return h.families.get([]byte(name))
}

// hwmonKinds are the types of sensors that are told of. The first three are
// properties of the chip, whose files have no number.
var hwmonKinds = [...]string{
	"vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr",
	"power", "energy", "humidity", "intrusion", "freq",
}

// parseHwmonName takes a file's name apart: temp1_crit_alarm is property
// crit_alarm of temp 1. ok is false where it is not a sensor's.
func parseHwmonName(file string) (kind, sensor, property string, ok bool) {
	end := strings.IndexAny(file, "0123456789")
	if end < 0 {
		end = len(file)
	}
	kind, rest := file[:end], file[end:]
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	number, rest := rest[:digits], rest[digits:]
	n := 0
	if number != "" {
		var err error
		if n, err = strconv.Atoi(number); err != nil {
			return "", "", "", false
		}
	}
	property, cut := strings.CutPrefix(rest, "_")
	if rest != "" && (!cut || property == "") {
		return "", "", "", false
	}
	for _, k := range hwmonKinds {
		if k == kind {
			return kind, kind + strconv.Itoa(n), property, true
		}
	}
	return "", "", "", false
}

var (
	thousandths = conversion{times: 0.001}
	millionths  = conversion{per: 1e6}
)

// hwmonName is the family of a property and what its numbers are in. There is none for labels, nor for clocks without a label.
func hwmonName(f hwmonFile) (name string, in conversion) {
	const prefix = "node_hwmon_"
	switch f.kind {
	case "beep_enable":
		return prefix + "beep_enabled", conversion{}
	case "vrm":
		return prefix + "voltage_regulator_version", conversion{}
	case "update_interval":
		return prefix + "update_interval_seconds", thousandths
	}
	property := f.property
	name = prefix + f.kind
	if property != "input" && property != "" {
		name += "_" + cleanHwmon(property)
	} else if property == "input" && f.twice {
		name += "_input"
	}
	switch property {
	case "label":
		return "", conversion{}
	case "fault", "alarm":
		return name, conversion{}
	case "beep":
		return name + "_enabled", conversion{}
	}
	unit, in := hwmonUnit(f)
	if unit == "" && f.kind == "freq" && property == "input" {
		return "", conversion{}
	}
	if strings.HasSuffix(property, "_alarm") || strings.HasSuffix(property, "_fault") || strings.HasSuffix(property, "_beep") {
		in = conversion{} // yes or no, though the name has a unit in node_exporter
	}
	return name + unit, in
}

// hwmonUnit is what a family's name ends in and how its numbers are converted.
func hwmonUnit(f hwmonFile) (unit string, in conversion) {
	switch p := f.property; {
	case f.kind == "in", f.kind == "cpu":
		return "_volts", thousandths
	case f.kind == "temp" && p != "type":
		return "_celsius", thousandths
	case f.kind == "curr":
		return "_amps", thousandths
	case f.kind == "energy":
		return "_joule_total", millionths
	case f.kind == "power" && p == "accuracy":
		return "", millionths
	case f.kind == "power" && (p == "average_interval" || p == "average_interval_min" || p == "average_interval_max"):
		return "_seconds", thousandths
	case f.kind == "power":
		return "_watt", millionths
	case f.kind == "humidity":
		return "", millionths
	case f.kind == "fan" && (p == "input" || p == "min" || p == "max" || p == "target"):
		return "_rpm", conversion{}
	case f.kind == "freq" && p == "input" && f.label != "":
		return "_freq_mhz", millionths
	}
	return "", conversion{}
}

// cleanHwmon makes a name of small letters, digits, colons and underscores, none
// of the latter at its ends.
func cleanHwmon(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == ':' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(s))
	return strings.Trim(clean, "_")
}

// parseHwmonValue reads a property's number. Properties that are no numbers have none.
func parseHwmonValue(b []byte) (float64, bool) {
	b = bytes.TrimSpace(b)
	if n, err := hostfs.Int(b); err == nil {
		return float64(n), true
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil && math.Abs(v) <= math.MaxFloat64
}
