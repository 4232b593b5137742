package collectors

// Bonds and their members, from sysfs (kernel: Documentation/networking/bonding.rst):
// class/net/bonding_masters names the bonds, NAME/bonding/slaves the interfaces in
// each, NAME/lower_IF/bonding_slave/mii_status says whether one is up. Old kernels
// have slave_IF for lower_IF.

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	bondingSlaves = expo.Gauge("node_bonding_slaves", "Interfaces in the bond.", "master")
	bondingActive = expo.Gauge("node_bonding_active", "Interfaces in the bond whose link is up.", "master")
)

type bonding struct {
	host  hostfs.FS
	bonds []bond

	told, counted map[string]bool // names that were met in a file, each of which counts once
}

type bond struct {
	name           string
	slaves, active int
}

func newBonding(c Config) (Collector, error) {
	return &bonding{host: c.FS, told: make(map[string]bool), counted: make(map[string]bool)}, nil
}

// Collect implements Collector. A bond or interface that is gone by now is left
// out; a bond that cannot be read does not cost the others.
func (b *bonding) Collect(_ context.Context, w *expo.Writer) error {
	masters, err := b.host.ReadSys("class/net/bonding_masters")
	if err != nil {
		return absent(err)
	}
	b.bonds = b.bonds[:0]
	clear(b.told)
	var failed failures
	for name := range strings.FieldsSeq(masters) {
		if b.told[name] {
			continue
		}
		b.told[name] = true
		bond, err := b.read(name)
		switch {
		case err == nil:
			b.bonds = append(b.bonds, bond)
		case !hostfs.Gone(err):
			failed.add(err)
		}
	}
	for _, bond := range b.bonds {
		w.Uint(bondingSlaves, uint64(bond.slaves), bond.name)
	}
	for _, bond := range b.bonds {
		w.Uint(bondingActive, uint64(bond.active), bond.name)
	}
	return failed.err()
}

func (b *bonding) read(name string) (bond, error) {
	folder := "class/net/" + name + "/"
	slaves, err := b.host.ReadSys(folder + "bonding/slaves")
	if err != nil {
		return bond{}, err
	}
	result := bond{name: name}
	clear(b.counted)
	for slave := range strings.FieldsSeq(slaves) {
		if b.counted[slave] {
			continue
		}
		b.counted[slave] = true
		const status = "/bonding_slave/mii_status"
		state, err := b.host.ReadSys(folder + "lower_" + slave + status)
		if errors.Is(err, fs.ErrNotExist) {
			state, err = b.host.ReadSys(folder + "slave_" + slave + status)
		}
		switch {
		case hostfs.Gone(err):
			continue
		case err != nil:
			return bond{}, err
		}
		result.slaves++
		if state == "up" {
			result.active++
		}
	}
	return result, nil
}
