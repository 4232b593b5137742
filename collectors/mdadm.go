package collectors

// Software RAID, from /proc/mdstat (kernel: drivers/md/md.c, md_seq_show). An array
// is a line with its name, state, level and components, (F) for a failed one and
// (S) for a spare; lines that begin with a blank tell more of it: its size in
// blocks of 1 KiB, how many disks it wants and has, and how far a sync is:
//
//	md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
//	      195310144 blocks [2/1] [U_]
//	      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec
//
// and from /sys/block/md*/md (kernel: Documentation/admin-guide/md.rst).

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	mdState    = expo.Gauge("node_md_state", "Whether the array is in that state.", "device", "state")
	mdDisks    = expo.Gauge("node_md_disks", "Disks of the array, by state.", "device", "state")
	mdRequired = expo.Gauge("node_md_disks_required", "Disks that the array is made for.", "device")
	mdBlocks   = expo.Gauge("node_md_blocks", "Size of the array in blocks of 1 KiB.", "device")
	mdSynced   = expo.Gauge("node_md_blocks_synced", "Blocks of 1 KiB that are in sync, as far as the sync at work has come.", "device")
	mdRaid     = expo.Gauge("node_md_raid_disks", "Disks that the array is made for, as sysfs has it.", "device")
	mdDegraded = expo.Gauge("node_md_degraded", "Disks that the array lacks.", "device")
)

// mdStates are the states that are told, and the word for them in mdstat.
var mdStates = [...]struct{ label, word string }{
	{"active", "active"}, {"check", "check"}, {"inactive", "inactive"}, {"recovering", "recovery"}, {"resync", "resync"},
}

type mdadm struct {
	file  *hostfs.File
	block string
}

func newMdadm(c Config) (Collector, error) {
	return mdadm{c.FS.ProcFile("mdstat"), c.FS.SysPath("block")}, nil
}

// Collect implements Collector.
func (m mdadm) Collect(_ context.Context, w *expo.Writer) error {
	b, err := m.file.Read()
	if err != nil {
		return absent(err)
	}
	var failed faults
	arrays, err := parseMdstat(b)
	if err != nil {
		failed.add(fmt.Errorf("%s: %w", m.file.Path(), err))
	}
	for _, a := range arrays {
		for _, s := range mdStates {
			v := 0.0
			if a.state == s.word {
				v = 1
			}
			w.Sample(mdState, v, a.name, s.label)
		}
	}
	for _, a := range arrays {
		w.Uint(mdDisks, a.active, a.name, "active")
		w.Uint(mdDisks, a.failed, a.name, "failed")
		w.Uint(mdDisks, a.spare, a.name, "spare")
	}
	for _, a := range arrays {
		w.Uint(mdRequired, a.required, a.name)
	}
	for _, a := range arrays {
		w.Uint(mdBlocks, a.blocks, a.name)
	}
	for _, a := range arrays {
		w.Uint(mdSynced, a.synced, a.name)
	}
	if len(arrays) > 0 {
		m.sysfs(w, &failed)
	}
	return failed.err()
}

// sysfs tells what sysfs knows of the arrays.
func (m mdadm) sysfs(w *expo.Writer, failed *faults) {
	names, err := hostfs.ReadDirNames(m.block)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		failed.add(err)
	}
	type device struct {
		name            string
		disks, degraded float64
	}
	var devices []device
	for _, name := range names {
		if !strings.HasPrefix(name, "md") {
			continue
		}
		d := sysFolder{path: m.block + "/" + name + "/md"}
		v := device{name, math.NaN(), 0}
		switch d.text("level") {
		case "", "container": // nothing is known, or it only holds other arrays
		case "raid1", "raid4", "raid5", "raid6", "raid10":
			if n := d.number("degraded"); !math.IsNaN(n) {
				v.degraded = n
			}
			fallthrough
		default:
			if field, _ := hostfs.NextField(d.read("raid_disks")); len(field) > 0 { // "11 (10)" while it grows
				n, err := hostfs.Uint(field)
				if v.disks = float64(n); err != nil {
					v.disks = math.NaN()
					d.fail("raid_disks", err)
				}
			}
		}
		failed.add(d.err)
		if d.there() {
			devices = append(devices, v)
		}
	}
	for _, d := range devices {
		tell(w, mdRaid, d.disks, d.name)
	}
	for _, d := range devices {
		w.Sample(mdDegraded, d.degraded, d.name)
	}
}

// mdArray is an array of mdstat.
type mdArray struct {
	name                            string
	state                           string // "active", "inactive", or what is being done: "recovery"
	required, active, failed, spare uint64 // disks
	blocks, synced                  uint64 // KiB
}

// parseMdstat reads the arrays. One that cannot be understood is left out; the
// error is the first such.
func parseMdstat(b []byte) (arrays []mdArray, err error) {
	seen := make(map[string]bool)
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		name, rest, ok := bytes.Cut(line, []byte(" : "))
		if !ok || line[0] == ' ' || string(name) == "Personalities" {
			continue
		}
		a := mdArray{name: string(name)}
		bad := a.parse(rest)
		if seen[a.name] {
			bad = errors.New("is there twice")
		}
		seen[a.name] = true
		for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
			var more []byte
			more, b = hostfs.NextLine(b)
			if e := a.parseMore(more); e != nil && bad == nil {
				bad = e
			}
		}
		switch {
		case bad == nil:
			arrays = append(arrays, a)
		case err == nil:
			err = fmt.Errorf("array %s: %w", name, bad)
		}
	}
	return arrays, err
}

// parse reads what follows the name in the first line: "active (read-only) raid1 sda1[0] sdb1[1](F)".
func (a *mdArray) parse(b []byte) error {
	state, b := hostfs.NextField(b)
	if len(state) == 0 {
		return errors.New("no state")
	}
	a.state = string(state)
	for {
		var field []byte
		if field, b = hostfs.NextField(b); len(field) == 0 {
			break
		}
		if bytes.IndexByte(field, '[') <= 0 {
			continue // (read-only), the level
		}
		a.active++
		if bytes.Contains(field, []byte("(F)")) {
			a.failed++
		}
		if bytes.Contains(field, []byte("(S)")) {
			a.spare++
		}
	}
	if a.state == "inactive" {
		a.active = 0
	}
	a.required = a.active // unless the next line says more, as it does where disks may be missing
	return nil
}

// parseMore reads a further line. Those that are not known are passed over.
func (a *mdArray) parseMore(line []byte) error {
	first, rest := hostfs.NextField(line)
	if second, _ := hostfs.NextField(rest); string(second) == "blocks" {
		n, err := hostfs.Uint(first)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		a.blocks, a.synced = n, n
		if a.state != "inactive" {
			a.disks(rest)
		}
		return nil
	}
	for _, what := range [...]string{"recovery", "reshape", "resync", "check"} {
		_, progress, ok := bytes.Cut(line, []byte(what))
		if !ok || len(progress) == 0 || progress[0] != ' ' && progress[0] != '=' {
			continue
		}
		a.state, a.synced = what, 0
		_, fraction, ok := bytes.Cut(progress, []byte("("))
		if !ok {
			return nil // =PENDING, =DELAYED, =REMOTE
		}
		done, _, _ := bytes.Cut(fraction, []byte("/"))
		n, err := hostfs.Uint(done)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		a.synced = n
		return nil
	}
	return nil
}

// disks takes how many disks the array wants and has out of "[4/3] [U_UU]".
func (a *mdArray) disks(b []byte) {
	for {
		var field []byte
		if field, b = hostfs.NextField(b); len(field) == 0 {
			return
		}
		if len(field) < 5 || field[0] != '[' || field[len(field)-1] != ']' {
			continue
		}
		want, have, _ := bytes.Cut(field[1:len(field)-1], []byte("/"))
		required, err1 := hostfs.Uint(want)
		active, err2 := hostfs.Uint(have)
		if err1 == nil && err2 == nil {
			a.required, a.active = required, active
			return
		}
	}
}
