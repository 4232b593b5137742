package netlink

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drivers asks network drivers by the ioctl SIOCETHTOOL (linux/ethtool.h): what a
// driver counts under names of its own is not told by ethtool's netlink. The zero
// value is ready for use; it is not safe for concurrent use.
type Drivers struct {
	fd   int // valid if open
	open bool
	buf  []byte
	ifr  ifreq
}

// ifreq is struct ifreq as SIOCETHTOOL takes it.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// Close gives the descriptor back. The next question opens another.
func (d *Drivers) Close() {
	if d.open {
		unix.Close(d.fd)
		d.open = false
	}
}

// DriverInfo is a driver and its device (struct ethtool_drvinfo).
type DriverInfo struct {
	Driver, Version, Firmware, Bus, ExpansionROM string

	Stats int // how many numbers Stats has
}

// LinkModes is a set of ETHTOOL_LINK_MODE_ bits.
type LinkModes [4]uint32

// Has tells whether the bit is in the set.
func (m LinkModes) Has(bit int) bool {
	return 0 <= bit && bit < 32*len(m) && m[bit/32]&(1<<(bit%32)) != 0
}

// LinkSettings are what a port can do and offers (struct ethtool_link_settings).
type LinkSettings struct {
	Autoneg               bool // whether it negotiates now
	Supported, Advertised LinkModes
}

const (
	stringLen   = 32 // ETH_GSTRING_LEN
	statStrings = 1  // ETH_SS_STATS

	settingsLen  = 48  // struct ethtool_link_settings without the masks
	mostMaskWord = 127 // their length is a signed byte

	// The kernel writes as many elements as the driver has by then, whatever room
	// there is; a driver that grew since it was asked for their number must not
	// write over what is not ours.
	slack = 4096
)

// mostStats bounds the numbers of one driver; those with most have some thousands.
const mostStats = 1 << 16

// Info asks for the driver. It writes over into and keeps its strings where they
// are the same.
func (d *Drivers) Info(name string, into *DriverInfo) error {
	const size = int(unsafe.Sizeof(unix.EthtoolDrvinfo{}))
	b := d.room(size)
	if err := d.ask(name, unix.ETHTOOL_GDRVINFO, "driver"); err != nil {
		return err
	}
	field := func(old string, at int) string { return reuse(old, attr{value: b[at : at+stringLen]}.text()) }
	into.Driver = field(into.Driver, 4)
	into.Version = field(into.Version, 4+stringLen)
	into.Firmware = field(into.Firmware, 4+2*stringLen)
	into.Bus = field(into.Bus, 4+3*stringLen)
	into.ExpansionROM = field(into.ExpansionROM, 4+4*stringLen)
	into.Stats = int(native.Uint32(b[4+5*stringLen+12+4:]))
	if into.Stats > mostStats {
		return fmt.Errorf("ethtool: driver of %s: %d statistics", name, into.Stats)
	}
	return nil
}

// Settings asks for the link settings.
func (d *Drivers) Settings(name string) (LinkSettings, error) {
	var s LinkSettings
	b := d.room(settingsLen + 3*4*mostMaskWord)
	for words := int8(0); ; {
		clear(b)
		b[15] = byte(words) // link_mode_masks_nwords
		if err := d.ask(name, unix.ETHTOOL_GLINKSETTINGS, "link settings"); err != nil {
			return s, err
		}
		got := int8(b[15])
		if words == 0 && got < 0 { // the first answer tells how many there are, as -n
			if words = -got; words > 0 {
				continue
			}
		}
		if got != words || words <= 0 {
			return s, fmt.Errorf("ethtool: link settings of %s: %d words of modes, then %d", name, words, got)
		}
		s.Autoneg = b[11] == 1 // AUTONEG_ENABLE
		for i := range min(int(words), len(s.Supported)) {
			s.Supported[i] = native.Uint32(b[settingsLen+4*i:])
			s.Advertised[i] = native.Uint32(b[settingsLen+4*(int(words)+i):])
		}
		return s, nil
	}
}

// StatNames asks for the names of a driver's n numbers.
func (d *Drivers) StatNames(name string, n int) ([]string, error) {
	const head = 12 // struct ethtool_gstrings
	b := d.room(head + (n+slack)*stringLen)
	native.PutUint32(b[4:], statStrings)
	native.PutUint32(b[8:], uint32(n))
	if err := d.ask(name, unix.ETHTOOL_GSTRINGS, "names of statistics"); err != nil {
		return nil, err
	}
	if got := int(native.Uint32(b[8:])); got != n {
		return nil, fmt.Errorf("ethtool: names of statistics of %s: %d for %d numbers: %w", name, got, n, ErrStatsChanged)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = string(attr{value: b[head+i*stringLen : head+(i+1)*stringLen]}.text())
	}
	return names, nil
}

// ErrStatsChanged says that a driver has other statistics than it had.
var ErrStatsChanged = errors.New("the number of statistics has changed")

// Stats asks for a driver's n numbers. It writes over into.
func (d *Drivers) Stats(name string, n int, into []uint64) ([]uint64, error) {
	const head = 8 // struct ethtool_stats
	b := d.room(head + (n+slack)*8)
	native.PutUint32(b[4:], uint32(n))
	if err := d.ask(name, unix.ETHTOOL_GSTATS, "statistics"); err != nil {
		return into[:0], err
	}
	if got := int(native.Uint32(b[4:])); got != n {
		return into[:0], fmt.Errorf("ethtool: statistics of %s: %d, had %d: %w", name, got, n, ErrStatsChanged)
	}
	into = slices.Grow(into[:0], n)[:n]
	for i := range into {
		into[i] = native.Uint64(b[head+8*i:])
	}
	return into, nil
}

// room makes the buffer n bytes of zeros.
func (d *Drivers) room(n int) []byte {
	if cap(d.buf) < n {
		d.buf = make([]byte, n)
	}
	d.buf = d.buf[:n]
	clear(d.buf)
	return d.buf
}

// ask sends a command in the buffer, where the answer is put. The error says what
// was asked for and wraps the errno.
func (d *Drivers) ask(name string, command uint32, what string) error {
	if !d.open {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("ethtool socket", err)
		}
		d.fd, d.open = fd, true
	}
	native.PutUint32(d.buf, command)
	d.ifr = ifreq{data: unsafe.Pointer(unsafe.SliceData(d.buf))}
	copy(d.ifr.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&d.ifr)))
	runtime.KeepAlive(d)
	if errno != 0 {
		return fmt.Errorf("ethtool: %s of %s: %w", what, name, errno)
	}
	return nil
}
