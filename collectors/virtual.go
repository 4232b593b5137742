package collectors

// Interfaces that are of no interest on a host of containers: the host's ends of
// their links, the bridges between them, what wraps their packets for another
// host. Hundreds come and go in a day, and what they pass on is counted again at
// the device that it leaves by. See docs/design/virtual-interfaces.md.
//
// What an interface is the kernel knows (IFLA_INFO_KIND of rtnetlink); names of
// the usual programs are known besides. Files of a host that cannot be asked
// (sysfs-class-net) show the kind only by signs.

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

// NetConfig is what the collectors of network interfaces have in common.
type NetConfig struct {
	IgnoreVirtual bool // leave out the interfaces of containers and their networks
}

// virtualNames matches the names that container programs give: Docker, Podman,
// LXC and LXD, Kubernetes, Calico, Cilium, Flannel, Weave, Antrea, Open vSwitch.
const virtualNames = `^(veth|cali|cilium_|lxc|lxdbr\d|incusbr\d|cni|flannel|weave$|kube-|nodelocaldns$|docker\d|docker_gwbridge$|podman\d|br-[0-9a-f]{12}$|tunl\d|vxlan(-v6)?\.calico$|wireguard(-v6)?\.cali|(genev|vxlan)_sys_\d)`

// Kinds of driver whose interfaces are left out, as ip-link(8) names them. A bridge
// is left out unless a port of it is not: then it carries the host's own traffic.
// Hardware, bonds, VLANs, macvlans, VPNs and the taps of virtual machines stay.
var virtualKinds = map[string]bool{
	"veth": true, "netkit": true, "bridge": true, "dummy": true, "ifb": true, "vxlan": true, "geneve": true, "nlmon": true,
}

// virtualLinks knows the interfaces to be left out. A nil one leaves out none.
type virtualLinks struct {
	host    hostfs.FS
	names   *Filter
	dropped map[string]bool
	links   []linkKind // as last looked at
	files   map[string]linkKind
}

// linkKind is what decides about an interface.
type linkKind struct {
	name, kind    string
	index, master int32 // master is the index of the bridge or bond that it is a port of
}

// virtual is nil unless virtual interfaces are to be left out.
func (c Config) virtual() (*virtualLinks, error) {
	if !c.Net.IgnoreVirtual {
		return nil, nil
	}
	names, err := NewFilter("", virtualNames)
	if err != nil {
		return nil, err
	}
	return &virtualLinks{host: c.FS, names: names, dropped: make(map[string]bool), files: make(map[string]linkKind)}, nil
}

// keep tells whether an interface stays, of those that were last looked at.
func (v *virtualLinks) keep(name string) bool { return v == nil || !v.dropped[name] }

// look decides about interfaces of which rtnetlink told.
func (v *virtualLinks) look(links []netlink.Link) {
	if v == nil {
		return
	}
	v.links = v.links[:0]
	for i := range links {
		l := &links[i]
		v.links = append(v.links, linkKind{l.Name, l.Kind, l.Index, l.Master})
	}
	v.decide()
}

// lookAtFiles decides about interfaces of which only files tell.
func (v *virtualLinks) lookAtFiles(names []string) {
	if v == nil {
		return
	}
	if len(v.files) > 2*len(names) {
		clear(v.files)
	}
	v.links = v.links[:0]
	for _, name := range names {
		dir := v.host.SysPath("class/net/" + name)
		index, _ := readSysInt(dir + "/ifindex")
		k := v.files[name]
		if k.index != int32(index) || index == 0 {
			k = linkKind{name: name, kind: kindByFiles(dir, index), index: int32(index)}
			v.files[name] = k
		}
		master, _ := readSysInt(dir + "/master/ifindex")
		k.master = int32(master)
		v.links = append(v.links, k)
	}
	v.decide()
}

// decide fills v.dropped.
func (v *virtualLinks) decide() {
	clear(v.dropped)
	for _, l := range v.links {
		if virtualKinds[l.kind] || !v.names.Keep(l.name) {
			v.dropped[l.name] = true
		}
	}
	for _, port := range v.links {
		if port.master == 0 || v.dropped[port.name] {
			continue
		}
		for _, l := range v.links {
			if l.index == port.master && l.kind == "bridge" && v.names.Keep(l.name) {
				delete(v.dropped, l.name)
			}
		}
	}
}

// kindByFiles is the kind of driver as far as the files of an interface show it:
// of those in virtualKinds all but a veth whose other end, in another namespace, has
// the same index; dummy stands for ifb too.
func kindByFiles(dir string, index int64) string {
	if exists(dir + "/device") {
		return "" // of hardware
	}
	if b, err := hostfs.Read(dir + "/uevent"); err == nil {
		if kind := deviceType(b); kind != "" {
			return kind
		}
	}
	typ, ok := readSysInt(dir + "/type")
	switch {
	case !ok:
		return ""
	case typ == unix.ARPHRD_NETLINK:
		return "nlmon"
	case typ != unix.ARPHRD_ETHER || exists(dir+"/tun_flags"):
		return ""
	}
	lower, _ := readSysInt(dir + "/iflink")
	flags, _ := readSysInt(dir + "/flags")
	switch {
	case lower > 0 && lower != index && !hasLower(dir):
		return "veth"
	case lower == index && flags&unix.IFF_NOARP != 0:
		return "dummy"
	}
	return ""
}

// deviceType is the line DEVTYPE of a uevent file.
func deviceType(b []byte) string {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if kind, ok := bytes.CutPrefix(line, []byte("DEVTYPE=")); ok {
			return string(kind)
		}
	}
	return ""
}

// hasLower tells whether an interface stands on another, as a VLAN does: there is a
// link lower_NAME. The ends of a veth pair have none.
func hasLower(dir string) bool {
	names, err := hostfs.ReadDirNames(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		if strings.HasPrefix(name, "lower_") {
			return true
		}
	}
	return false
}
