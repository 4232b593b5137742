package collectors

// What network ports can do and offer to their partner, from the bits of
// ETHTOOL_GLINKSETTINGS (enum ethtool_link_mode_bit_indices of linux/ethtool.h).

import (
	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var (
	ethtoolSupportedSpeed  = expo.Gauge("node_network_supported_speed_bytes", "Bytes a second of a mode that the port can do.", "device", "duplex", "mode")
	ethtoolSupportedPort   = expo.Gauge("node_network_supported_port_info", "A kind of connector that the port can have; always 1.", "device", "type")
	ethtoolAdvertisedSpeed = expo.Gauge("node_network_advertised_speed_bytes", "Bytes a second of a mode that the port offers to its partner.", "device", "duplex", "mode")
	ethtoolAutoneg         = expo.Gauge("node_network_autonegotiate", "Whether the port negotiates its mode now.", "device")
)

// ethtoolAbilities are the bits that have families of their own.
var ethtoolAbilities = []struct {
	bit                   int
	supported, advertised *expo.Family
}{
	{unix.ETHTOOL_LINK_MODE_Autoneg_BIT,
		expo.Gauge("node_network_autonegotiate_supported", "Whether the port can negotiate its mode.", "device"),
		expo.Gauge("node_network_autonegotiate_advertised", "Whether the port offers to negotiate its mode.", "device")},
	{unix.ETHTOOL_LINK_MODE_Pause_BIT,
		expo.Gauge("node_network_pause_supported", "Whether the port can do pause frames.", "device"),
		expo.Gauge("node_network_pause_advertised", "Whether the port offers pause frames.", "device")},
	{unix.ETHTOOL_LINK_MODE_Asym_Pause_BIT,
		expo.Gauge("node_network_asymmetricpause_supported", "Whether the port can do pause frames in one direction.", "device"),
		expo.Gauge("node_network_asymmetricpause_advertised", "Whether the port offers pause frames in one direction.", "device")},
}

// ethtoolPorts are the kinds of connectors.
var ethtoolPorts = []struct {
	bit  int
	name string
}{
	{unix.ETHTOOL_LINK_MODE_TP_BIT, "TP"},
	{unix.ETHTOOL_LINK_MODE_AUI_BIT, "AUI"},
	{unix.ETHTOOL_LINK_MODE_MII_BIT, "MII"},
	{unix.ETHTOOL_LINK_MODE_FIBRE_BIT, "FIBRE"},
	{unix.ETHTOOL_LINK_MODE_BNC_BIT, "BNC"},
	{unix.ETHTOOL_LINK_MODE_Backplane_BIT, "Backplane"},
}

// ethtoolMode is a bit that stands for a speed, in Mbit/s.
type ethtoolMode struct {
	bit, speed   int
	duplex, name string
}

var ethtoolModes = []ethtoolMode{
	{0, 10, "half", "10baseT"},
	{1, 10, "full", "10baseT"},
	{2, 100, "half", "100baseT"},
	{3, 100, "full", "100baseT"},
	{4, 1000, "half", "1000baseT"},
	{5, 1000, "full", "1000baseT"},
	{12, 10000, "full", "10000baseT"},
	{15, 2500, "full", "2500baseX"},
	{17, 1000, "full", "1000baseKX"},
	{18, 10000, "full", "10000baseKX4"},
	{19, 10000, "full", "10000baseKR"},
	{20, 10000, "full", "10000baseR_FEC"},
	{21, 20000, "full", "20000baseMLD2"},
	{22, 20000, "full", "20000baseKR2"},
	{23, 40000, "full", "40000baseKR4"},
	{24, 40000, "full", "40000baseCR4"},
	{25, 40000, "full", "40000baseSR4"},
	{26, 40000, "full", "40000baseLR4"},
	{27, 56000, "full", "56000baseKR4"},
	{28, 56000, "full", "56000baseCR4"},
	{29, 56000, "full", "56000baseSR4"},
	{30, 56000, "full", "56000baseLR4"},
	{31, 25000, "full", "25000baseCR"},
	{32, 25000, "full", "25000baseKR"},
	{33, 25000, "full", "25000baseSR"},
	{34, 50000, "full", "50000baseCR2"},
	{35, 50000, "full", "50000baseKR2"},
	{36, 100000, "full", "100000baseKR4"},
	{37, 100000, "full", "100000baseSR4"},
	{38, 100000, "full", "100000baseCR4"},
	{39, 100000, "full", "100000baseLR4_ER4"},
	{40, 50000, "full", "50000baseSR2"},
	{41, 1000, "full", "1000baseX"},
	{42, 10000, "full", "10000baseCR"},
	{43, 10000, "full", "10000baseSR"},
	{44, 10000, "full", "10000baseLR"},
	{45, 10000, "full", "10000baseLRM"},
	{46, 10000, "full", "10000baseER"},
	{47, 2500, "full", "2500baseT"},
	{48, 5000, "full", "5000baseT"},
	{52, 50000, "full", "50000baseKR"},
	{53, 50000, "full", "50000baseSR"},
	{54, 50000, "full", "50000baseCR"},
	{55, 50000, "full", "50000baseLR_ER_FR"},
	{56, 50000, "full", "50000baseDR"},
	{57, 100000, "full", "100000baseKR2"},
	{58, 100000, "full", "100000baseSR2"},
	{59, 100000, "full", "100000baseCR2"},
	{60, 100000, "full", "100000baseLR2_ER2_FR2"},
	{61, 100000, "full", "100000baseDR2"},
	{62, 200000, "full", "200000baseKR4"},
	{63, 200000, "full", "200000baseSR4"},
	{64, 200000, "full", "200000baseLR4_ER4_FR4"},
	{65, 200000, "full", "200000baseDR4"},
	{66, 200000, "full", "200000baseCR4"},
	{67, 100, "full", "100baseT1"},
	{68, 1000, "full", "1000baseT1"},
	{69, 400000, "full", "400000baseKR8"},
	{70, 400000, "full", "400000baseSR8"},
	{71, 400000, "full", "400000baseLR8_ER8_FR8"},
	{72, 400000, "full", "400000baseDR8"},
	{73, 400000, "full", "400000baseCR8"},
	{75, 100000, "full", "100000baseKR"},
	{76, 100000, "full", "100000baseSR"},
	{77, 100000, "full", "100000baseLR_ER_FR"},
	{78, 100000, "full", "100000baseCR"},
	{79, 100000, "full", "100000baseDR"},
	{80, 200000, "full", "200000baseKR2"},
	{81, 200000, "full", "200000baseSR2"},
	{82, 200000, "full", "200000baseLR2_ER2_FR2"},
	{83, 200000, "full", "200000baseDR2"},
	{84, 200000, "full", "200000baseCR2"},
	{85, 400000, "full", "400000baseKR4"},
	{86, 400000, "full", "400000baseSR4"},
	{87, 400000, "full", "400000baseLR4_ER4_FR4"},
	{88, 400000, "full", "400000baseDR4"},
	{89, 400000, "full", "400000baseCR4"},
	{90, 100, "half", "100baseFX"},
	{91, 100, "full", "100baseFX"},
	{92, 10, "full", "10baseT1L"},
}

// writeSettings writes what the ports can do and offer.
func (e *ethtool) writeSettings(w *expo.Writer) {
	supported := func(s *netlink.LinkSettings) *netlink.LinkModes { return &s.Supported }
	advertised := func(s *netlink.LinkSettings) *netlink.LinkModes { return &s.Advertised }
	e.writeSpeeds(w, ethtoolSupportedSpeed, supported)
	for _, d := range e.devices {
		for _, p := range ethtoolPorts {
			if d.settings != nil && d.settings.Supported.Has(p.bit) {
				w.Uint(ethtoolSupportedPort, 1, d.name, p.name)
			}
		}
	}
	for _, a := range ethtoolAbilities {
		e.writeAbility(w, a.supported, a.bit, supported)
	}
	e.writeSpeeds(w, ethtoolAdvertisedSpeed, advertised)
	for _, a := range ethtoolAbilities {
		e.writeAbility(w, a.advertised, a.bit, advertised)
	}
	for _, d := range e.devices {
		if d.settings != nil {
			w.Uint(ethtoolAutoneg, truth(d.settings.Autoneg), d.name)
		}
	}
}

func (e *ethtool) writeSpeeds(w *expo.Writer, f *expo.Family, of func(*netlink.LinkSettings) *netlink.LinkModes) {
	const bytesPerMbit = 1e6 / 8
	for _, d := range e.devices {
		for _, m := range ethtoolModes {
			if d.settings != nil && of(d.settings).Has(m.bit) {
				w.Sample(f, float64(m.speed)*bytesPerMbit, d.name, m.duplex, m.name)
			}
		}
	}
}

func (e *ethtool) writeAbility(w *expo.Writer, f *expo.Family, bit int, of func(*netlink.LinkSettings) *netlink.LinkModes) {
	for _, d := range e.devices {
		if d.settings != nil {
			w.Uint(f, truth(of(d.settings).Has(bit)), d.name)
		}
	}
}

// truth is 1 for true.
func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
