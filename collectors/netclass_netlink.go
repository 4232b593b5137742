package collectors

// Interfaces by netlink, with the values that sysfs would show. Some of those are
// not netlink's own:
//
//	flags             the device's: see netlink.Link.DeviceFlags
//	carrier, dormant  only of an interface that is up
//	speed, duplex     the same; from ethtool's netlink
//	addr_assign_type  and two more come from sysfs, once for each interface

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

type netclassNetlink struct {
	host    hostfs.FS
	links   *links
	filter  *Filter
	virtual *virtualLinks
	asIs    bool // what netlink says, not what sysfs would

	interfaces []netInterface // as last read
	fixed      map[int32]*fixedFields
	names      []string // of all links, as last compared with sysfs
	now        func() time.Time

	ethtool   netlink.Ethtool
	noEthtool bool
	indexes   []int32 // of the interfaces asked for their modes
	places    []int   // of those in interfaces
	modes     []netlink.Mode
	asked     []linkState // when modes were told
	states    []linkState // of now
	modesAt   time.Time
}

// linkState is what of an interface changes when its speed may have changed.
type linkState struct {
	index          int32
	flags          uint32
	carrierChanges uint32
	operState      uint8
}

// modesAge is after how long the drivers are asked for speed and duplex again
// although no interface came, went or changed its state. To ask them at each
// scrape took a sixth of its time where there are hundreds of interfaces.
const modesAge = time.Minute

// fixedFields are what only sysfs tells. They change with the name or the address.
type fixedFields struct {
	name, address string
	read          time.Time
	v             [len(fixedPlaces)]int64
	has           [len(fixedPlaces)]bool
	seen          bool // in the scrape at hand
}

var fixedPlaces = [...]int{netAddressAssign, netDeviceID, netNameAssign}

// fixedAge is after how long they are read again although nothing seems to have
// changed: an address that is set to what it was changes where it is from.
const fixedAge = 10 * time.Minute

func newNetclassNetlink(host hostfs.FS, links *links, filter *Filter, virtual *virtualLinks, asIs bool) *netclassNetlink {
	return &netclassNetlink{host: host, links: links, filter: filter, virtual: virtual, asIs: asIs, fixed: make(map[int32]*fixedFields), now: time.Now}
}

// errOtherView says that sysfs shows other interfaces than netlink.
var errOtherView = errors.New("sysfs shows the interfaces of another network namespace than the one that this process is in")

// read makes of links what sysfs would say. It fails with errOtherView if sysfs
// shows others, which may be so for a moment, while one comes or goes. The result
// is valid until the next call, and as long as links.
func (n *netclassNetlink) read(links []netlink.Link) ([]netInterface, error) {
	if !n.asIs && !n.compared(links) {
		return nil, errOtherView
	}
	n.interfaces = n.interfaces[:0]
	n.virtual.look(links)
	for i := range links {
		l := &links[i]
		if !n.filter.Keep(l.Name) || !n.virtual.keep(l.Name) {
			continue
		}
		f, err := n.fixedOf(l, i < mostCompared)
		if err != nil && !n.asIs {
			n.names = n.names[:0] // to be compared anew
			return nil, err
		}
		n.interfaces = append(n.interfaces, n.translate(l, f))
	}
	n.forget(len(links))
	n.readModes()
	return n.interfaces, nil
}

// compared tells whether sysfs lists these interfaces and no others. It looks
// only if they are not those of the last time.
func (n *netclassNetlink) compared(links []netlink.Link) bool {
	same := len(links) == len(n.names)
	for i := 0; same && i < len(links); i++ {
		same = links[i].Name == n.names[i]
	}
	if same {
		return true
	}
	n.names = n.names[:0]
	listed, err := hostfs.ReadDirNames(n.host.SysPath("class/net"))
	if err != nil {
		return false
	}
	linked := make(map[string]bool)
	for i := range links {
		if _, ok := slices.BinarySearch(listed, links[i].Name); !ok {
			return false
		}
		linked[links[i].Name] = true
	}
	for _, name := range listed { // files like bonding_masters are no interfaces
		if !linked[name] && exists(n.host.SysPath("class/net/"+name+"/ifindex")) {
			return false
		}
	}
	for i := range links {
		n.names = append(n.names, links[i].Name)
	}
	return true
}

// mostCompared is of how many interfaces sysfs has to have the same index as
// netlink. All names are compared before: if those agree and the first indexes
// too, it is not for the rest that another file is opened for each.
const mostCompared = 16

// view is a number for what netlink and sysfs list, another one as soon as an
// interface comes, goes or is renamed.
func (n *netclassNetlink) view(links []netlink.Link) uint64 {
	h := fnv.New64a()
	for i := range links {
		fmt.Fprintln(h, links[i].Index, links[i].Name)
	}
	listed, err := hostfs.ReadDirNames(n.host.SysPath("class/net"))
	fmt.Fprintln(h, listed, err)
	return h.Sum64()
}

// fixedOf is what sysfs alone tells of an interface. It fails with errOtherView
// if sysfs has another interface of that name and that is to be compared.
func (n *netclassNetlink) fixedOf(l *netlink.Link, compare bool) (*fixedFields, error) {
	if f := n.fixed[l.Index]; f != nil && f.name == l.Name && f.address == l.Address && n.now().Sub(f.read) < fixedAge {
		f.seen = true
		return f, nil
	}
	dir := n.host.SysPath("class/net/" + l.Name)
	if compare {
		if index, ok := readSysInt(dir + "/ifindex"); !ok || index != int64(l.Index) {
			return nil, errOtherView
		}
	}
	f := &fixedFields{name: l.Name, address: l.Address, read: n.now(), seen: true}
	for i, place := range fixedPlaces {
		f.v[i], f.has[i] = readSysInt(dir + "/" + netclassFields[place].file)
	}
	n.fixed[l.Index] = f
	return f, nil
}

// forget drops what is kept of interfaces that are no more.
func (n *netclassNetlink) forget(links int) {
	stale := len(n.fixed) > links
	for index, f := range n.fixed {
		if stale && !f.seen {
			delete(n.fixed, index)
		}
		f.seen = false
	}
}

// translate makes of a link what sysfs says of it, but for the mode. Without f it
// leaves out what only sysfs tells.
func (n *netclassNetlink) translate(l *netlink.Link, f *fixedFields) netInterface {
	k := netInterface{name: l.Name, address: l.Address, broadcast: l.Broadcast, alias: l.Alias, link: l}
	if int(l.OperState) < len(netlink.OperStates) {
		k.operstate = netlink.OperStates[l.OperState]
	}
	for _, a := range [...]struct {
		attribute uint16
		field     int
		v         int64
	}{
		{unix.IFLA_CARRIER_CHANGES, netCarrierChanges, int64(l.CarrierChanges)},
		{unix.IFLA_CARRIER_UP_COUNT, netCarrierUp, int64(l.CarrierUp)},
		{unix.IFLA_CARRIER_DOWN_COUNT, netCarrierDown, int64(l.CarrierDown)},
		{unix.IFLA_LINKMODE, netLinkMode, int64(l.LinkMode)},
		{unix.IFLA_MTU, netMTU, int64(l.MTU)},
		{unix.IFLA_GROUP, netGroup, int64(l.Group)},
		{unix.IFLA_TXQLEN, netQueueLength, int64(l.TxQueueLen)},
	} {
		if l.Has(a.attribute) {
			k.set(a.field, a.v)
		}
	}
	k.set(netIndex, int64(l.Index))
	k.set(netLower, int64(l.Lower))
	k.set(netType, int64(l.Type))
	for i, place := range fixedPlaces {
		if f != nil && f.has[i] {
			k.set(place, f.v[i])
		}
	}
	if n.asIs || l.Flags&unix.IFF_UP != 0 {
		k.set(netCarrier, int64(l.Carrier))
		k.set(netDormant, bit(l.Flags&unix.IFF_DORMANT))
	}
	switch {
	case n.asIs:
		k.set(netFlags, int64(l.Flags))
	case l.Has(unix.IFLA_ALLMULTI):
		k.set(netFlags, int64(l.DeviceFlags()))
	default: // Linux before 6.0
		if v, ok := readSysInt(n.host.SysPath("class/net/" + l.Name + "/flags")); ok {
			k.set(netFlags, v)
		}
	}
	return k
}

func bit(v uint32) int64 {
	if v != 0 {
		return 1
	}
	return 0
}

// readModes adds speed and duplex.
func (n *netclassNetlink) readModes() {
	n.indexes, n.places, n.states = n.indexes[:0], n.places[:0], n.states[:0]
	for i := range n.interfaces {
		if l := n.interfaces[i].link; n.asIs || l.Flags&unix.IFF_UP != 0 {
			n.indexes = append(n.indexes, l.Index)
			n.places = append(n.places, i)
			n.states = append(n.states, linkState{l.Index, l.Flags, l.CarrierChanges, l.OperState})
		}
	}
	err := error(netlink.ErrNoEthtool)
	switch {
	case n.noEthtool:
	case slices.Equal(n.states, n.asked) && n.now().Sub(n.modesAt) < modesAge:
		err = nil
	default:
		n.modes, err = n.ethtool.Modes(n.indexes, n.modes)
		n.noEthtool = errors.Is(err, netlink.ErrNoEthtool)
		n.asked, n.modesAt = n.asked[:0], n.now()
		if err == nil {
			n.asked = append(n.asked, n.states...)
		}
	}
	for i, place := range n.places {
		k := &n.interfaces[place]
		if err != nil { // ask as one did before Linux 5.6
			if v, ok := readSysInt(n.host.SysPath("class/net/" + k.name + "/speed")); ok {
				k.setSpeed(v)
			}
			k.duplex, _ = n.host.ReadSys("class/net/" + k.name + "/duplex")
		} else if m := n.modes[i]; m.Known {
			k.setSpeed(int64(m.Speed))
			k.duplex = duplexName(m.Duplex)
		}
	}
}

func duplexName(d uint8) string {
	switch d {
	case 0:
		return "half"
	case 1:
		return "full"
	}
	return "unknown"
}

// readSysInt reads a file of one number. Files that are absent, that the kernel
// refuses to read (EINVAL, while an interface is down) and that hold something
// else have none.
func readSysInt(path string) (int64, bool) {
	b, err := hostfs.ReadNumber(path)
	if err != nil {
		return 0, false
	}
	v, err := parseSysInt(b)
	return v, err == nil
}

// parseSysInt reads a number as sysfs writes it: decimal, or hexadecimal with 0x
// before it, and a newline after it.
func parseSysInt(b []byte) (int64, error) {
	field, rest := hostfs.NextField(b)
	if more, _ := hostfs.NextField(rest); len(more) > 0 {
		return 0, fmt.Errorf("%.200q is not one number", b)
	}
	if len(field) < 3 || field[0] != '0' || field[1]|0x20 != 'x' {
		return hostfs.Int(field)
	}
	var v int64
	for _, c := range field[2:] {
		d, lower := int64(c-'0'), c|0x20
		if c > '9' || c < '0' {
			d = int64(lower-'a') + 10
		}
		if (c > '9' || c < '0') && (lower < 'a' || lower > 'f') || v > math.MaxInt64>>4 {
			return 0, fmt.Errorf("%.200q is not a number", field)
		}
		v = v<<4 | d
	}
	return v, nil
}
