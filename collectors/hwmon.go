package collectors

// Sensors: temperatures, fans, voltages, currents, power, energy, humidity, from
// /sys/class/hwmon (kernel: Documentation/hwmon/sysfs-interface.rst). A chip is a
// folder; its files are named TYPE NUMBER _ PROPERTY:
//
//	hwmon0/name:          coretemp
//	hwmon0/temp1_label:   Package id 0
//	hwmon0/temp1_input:   55000          thousandths of a degree Celsius
//	hwmon0/temp1_max:     84000
//
// A sensor may take its time (a 1-wire thermometer nearly a second) or never
// answer. So each chip is read by a goroutine of its own. One that is slow is left
// alone: what it said is told at the next scrape, and what others say at this one.

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// HwmonConfig configures the hwmon collector, by regular expressions. Sensors are
// matched as CHIP;SENSOR.
type HwmonConfig struct {
	ChipInclude, ChipExclude     string
	SensorInclude, SensorExclude string
}

const (
	// hwmonPatience is how long a scrape waits for one chip.
	hwmonPatience = 250 * time.Millisecond
	// hwmonAge is how long what a slow chip said may be told.
	hwmonAge = 5 * time.Minute
)

type hwmon struct {
	listing
	dir      string
	chipKeep *Filter
	sensors  *Filter
	patience time.Duration
	readFile func(*hostfs.File) hwmonReading
	unlist   error
	chips    []*hwmonChip
	series   []hwmonSeries // what the chips' readings are told as, by family
	families kernelNames   // by name
}

// hwmonSeries is a reading and where it is told.
type hwmonSeries struct {
	family  *expo.Family
	chip    *hwmonChip
	reading int
	labels  []string
	in      conversion
}

// hwmonChip is a chip and what its sensors said last. While it is busy, its
// readings belong to the goroutine that reads them.
type hwmonChip struct {
	dir, name string
	human     string // what its driver calls it; "" where it does not say
	labels    []hwmonLabel
	files     []hwmonFile
	readings  []hwmonReading

	busy  chan struct{} // closed when the goroutine is done; nil: there is none
	slow  bool          // it took longer than hwmonPatience last time
	since time.Time     // when the readings were taken; zero: never
	took  time.Duration
}

// hwmonLabel is what a sensor is called.
type hwmonLabel struct{ sensor, label string }

// hwmonFile is a property of a sensor, found in a folder.
type hwmonFile struct {
	sensor, kind, property string
	label                  string // of a clock: what it is called
	twice                  bool   // the sensor has a file without a property as well
	file                   *hostfs.File
}

type hwmonReading struct {
	v   float64
	ok  bool
	err error // of a kind that an administrator can mend
}

func newHwmon(c Config) (Collector, error) {
	chips, err := NewEitherFilter("hwmon chips", c.Hwmon.ChipInclude, c.Hwmon.ChipExclude)
	if err != nil {
		return nil, err
	}
	sensors, err := NewEitherFilter("hwmon sensors", c.Hwmon.SensorInclude, c.Hwmon.SensorExclude)
	if err != nil {
		return nil, err
	}
	return &hwmon{
		listing: listing{now: time.Now}, dir: c.FS.SysPath("class/hwmon"),
		chipKeep: chips, sensors: sensors, patience: hwmonPatience, readFile: readHwmon,
	}, nil
}

// Collect implements Collector.
func (h *hwmon) Collect(ctx context.Context, w *expo.Writer) error {
	h.takeBack()
	if h.due() {
		h.unlist = h.list()
	}
	if h.unlist != nil {
		return absent(h.unlist)
	}
	h.read(ctx)
	failed := h.write(w)
	for _, c := range h.chips {
		if c.slow && c.busy == nil {
			h.start(c) // for the next scrape
		}
	}
	return failed.err()
}

// takeBack takes the readings of chips that answered since the last scrape.
func (h *hwmon) takeBack() {
	for _, c := range h.chips {
		if c.busy != nil {
			select {
			case <-c.busy:
				c.busy = nil
				c.slow = c.took > h.patience
			default:
			}
		}
	}
}

// read reads the chips, one after another, but does not wait for slow ones.
func (h *hwmon) read(ctx context.Context) {
	var timer *time.Timer
	for _, c := range h.chips {
		if c.busy != nil || c.slow {
			continue
		}
		h.start(c)
		if timer == nil {
			timer = time.NewTimer(h.patience)
			defer timer.Stop()
		} else {
			timer.Reset(h.patience)
		}
		select {
		case <-c.busy:
			c.busy = nil
		case <-timer.C:
			c.slow = true
		case <-ctx.Done():
			return
		}
	}
}

// start begins to read a chip.
func (h *hwmon) start(c *hwmonChip) {
	done := make(chan struct{})
	c.busy = done
	go func() {
		defer close(done)
		begun := h.now()
		for i, f := range c.files {
			c.readings[i] = h.readFile(f.file)
		}
		c.since = h.now()
		c.took = c.since.Sub(begun)
	}()
}

// readHwmon reads one property. Drivers refuse with all sorts of error numbers
// when a sensor is switched off, asleep or broken: then there is no sample.
func readHwmon(f *hostfs.File) hwmonReading {
	b, err := f.Read()
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return hwmonReading{err: err}
		}
		return hwmonReading{}
	}
	v, ok := parseHwmonValue(b)
	return hwmonReading{v: v, ok: ok}
}

// write writes what is known. A chip that is busy is not there.
func (h *hwmon) write(w *expo.Writer) *failures {
	failed := &failures{}
	now := h.now()
	for _, c := range h.chips {
		if c.human != "" {
			w.Sample(hwmonChipNames, 1, c.name, c.human)
		}
	}
	for _, c := range h.chips {
		for _, l := range c.labels {
			w.Sample(hwmonSensorLabel, 1, c.name, l.label, l.sensor)
		}
	}
	for _, s := range h.series {
		if s.chip.busy != nil || s.chip.since.IsZero() || now.Sub(s.chip.since) > hwmonAge {
			continue
		}
		switch r := s.chip.readings[s.reading]; {
		case r.err != nil:
			failed.add(r.err)
		case r.ok:
			w.Sample(s.family, s.in.of(r.v), s.labels...)
		}
	}
	return failed
}

// list finds the chips. A chip that is being read is left as it is.
func (h *hwmon) list() error {
	found, err := findHwmonChips(h.dir)
	if err != nil {
		return err
	}
	var chips []*hwmonChip
	for _, c := range h.chips {
		if c.busy == nil {
			c.close()
		}
	}
	for _, c := range found {
		if !h.chipKeep.Keep(c.name) {
			continue
		}
		same := func(old *hwmonChip) bool { return old.dir == c.dir && old.name == c.name }
		if i := slices.IndexFunc(h.chips, same); i >= 0 && h.chips[i].busy != nil {
			chips = append(chips, h.chips[i])
			continue
		}
		c.listSensors(func(sensor string) bool { return h.sensors.Keep(c.name + ";" + sensor) })
		if i := slices.IndexFunc(h.chips, same); i >= 0 {
			c.inherit(h.chips[i])
		}
		chips = append(chips, c)
	}
	for _, c := range h.chips {
		if c.busy != nil && !slices.Contains(chips, c) { // gone while it was being read
			go func() { <-c.busy; c.close() }()
		}
	}
	h.chips = chips
	h.tell()
	return nil
}

// inherit takes over the readings of the chip as it was listed before, if it has
// the same sensors: a slow chip's would be missed for one scrape.
func (c *hwmonChip) inherit(old *hwmonChip) {
	same := func(a, b hwmonFile) bool { return a.sensor == b.sensor && a.property == b.property }
	c.slow = old.slow
	if slices.EqualFunc(c.files, old.files, same) {
		copy(c.readings, old.readings)
		c.since = old.since
	}
}

func (c *hwmonChip) close() {
	for _, f := range c.files {
		f.file.Close()
	}
}

// tell makes the series of all chips, those of one family together. Of two
// properties that come to the same series (two clocks of one label) the first counts.
func (h *hwmon) tell() {
	h.series = h.series[:0]
	told := make(map[[3]string]bool)
	for _, c := range h.chips {
		for i, f := range c.files {
			name, in := hwmonName(f)
			if name == "" {
				continue
			}
			sensor := f.sensor
			if f.kind == "freq" && f.property == "input" {
				sensor = cleanHwmon(f.label)
			}
			if key := [3]string{name, c.name, sensor}; told[key] {
				continue
			} else {
				told[key] = true
			}
			h.series = append(h.series, hwmonSeries{h.family(name), c, i, []string{c.name, sensor}, in})
		}
	}
	slices.SortStableFunc(h.series, func(a, b hwmonSeries) int { return cmp.Compare(a.family.Name(), b.family.Name()) })
}
