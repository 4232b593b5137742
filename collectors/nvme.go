package collectors

// NVMe controllers and their namespaces, from /sys/class/nvme (kernel:
// drivers/nvme/host/sysfs.c). A controller's folder holds a file for each of its
// properties and a folder for each namespace:
//
//	/sys/class/nvme/nvme0/model              Samsung SSD 970 PRO 512GB
//	/sys/class/nvme/nvme0/nvme0n1/size       1000215216, in sectors of 512 bytes
//	/sys/class/nvme/nvme0/nvme0n1/nuse       1000215216, in logical blocks

import (
	"context"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	nvmeInfo              = expo.Gauge("node_nvme_info", "What the controller is and the state it is in; always 1.", "device", "firmware_revision", "model", "serial", "state", "cntlid")
	nvmeNamespaceInfo     = expo.Gauge("node_nvme_namespace_info", "A namespace of the controller and the state of this path to it; always 1.", "device", "nsid", "ana_state")
	nvmeNamespaceCapacity = expo.Gauge("node_nvme_namespace_capacity_bytes", "Capacity of the namespace.", "device", "nsid")
	nvmeNamespaceSize     = expo.Gauge("node_nvme_namespace_size_bytes", "Size of the namespace.", "device", "nsid")
	nvmeNamespaceUsed     = expo.Gauge("node_nvme_namespace_used_bytes", "Space in use in the namespace, where the drive keeps account of it.", "device", "nsid")
	nvmeNamespaceBlock    = expo.Gauge("node_nvme_namespace_logical_block_size_bytes", "Size of a logical block.", "device", "nsid")
)

// nvmeSector is the unit of a block device's size, whatever its blocks are.
const nvmeSector = 512

type nvme struct{ class string }

func newNVMe(c Config) (Collector, error) { return nvme{c.FS.SysPath("class/nvme")}, nil }

// Collect implements Collector.
func (n nvme) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(n.class)
	if err != nil {
		return absent(err)
	}
	var failed faults
	var controllers [][]string
	var namespaces []nvmeNamespace
	for _, name := range names {
		if !numbered(name, "nvme") {
			continue
		}
		d := sysFolder{path: n.class + "/" + name}
		labels := []string{name, d.text("firmware_rev"), d.text("model"), d.text("serial"), d.text("state"), d.text("cntlid")}
		failed.add(d.err)
		if !d.there() {
			continue
		}
		controllers = append(controllers, labels)
		files, err := hostfs.ReadDirNames(d.path)
		failed.add(err)
		for _, f := range files {
			if nsid, ok := nvmeNamespaceID(f); ok {
				if ns, err := readNVMeNamespace(d.path+"/"+f, name, nsid); ns != nil {
					namespaces = append(namespaces, *ns)
				} else {
					failed.add(err)
				}
			}
		}
	}
	for _, labels := range controllers {
		w.Sample(nvmeInfo, 1, labels...)
	}
	for _, s := range namespaces {
		w.Sample(nvmeNamespaceInfo, 1, s.device, s.id, s.state)
	}
	for _, s := range namespaces {
		tell(w, nvmeNamespaceCapacity, s.size, s.device, s.id)
	}
	for _, s := range namespaces {
		tell(w, nvmeNamespaceSize, s.size, s.device, s.id)
	}
	for _, s := range namespaces {
		tell(w, nvmeNamespaceUsed, s.used, s.device, s.id)
	}
	for _, s := range namespaces {
		tell(w, nvmeNamespaceBlock, s.block, s.device, s.id)
	}
	return failed.err()
}

// nvmeNamespace is a namespace as one controller shows it. Sizes are in bytes.
type nvmeNamespace struct {
	device, id        string
	state             string // of asymmetric access: "optimized"; "unknown" without it
	size, used, block float64
}

// nvmeNamespaceID is the number of the namespace that a block device's name tells:
// 1 of nvme0n1. The number before it is the subsystem's, not always the
// controller's. A name like nvme0c1n1 is of one path to a namespace.
func nvmeNamespaceID(name string) (string, bool) {
	digits, ok := strings.CutPrefix(name, "nvme")
	subsystem, id, found := strings.Cut(digits, "n")
	return id, ok && found && numbered(subsystem, "") && numbered(id, "")
}

// readNVMeNamespace returns nil for a namespace that is gone or cannot be read.
func readNVMeNamespace(path, device, id string) (*nvmeNamespace, error) {
	d := sysFolder{path: path}
	s := nvmeNamespace{device: device, id: id, state: d.text("ana_state"), block: d.number("queue/logical_block_size")}
	s.size = d.number("size") * nvmeSector
	s.used = d.number("nuse") * s.block
	if s.state == "" {
		s.state = "unknown"
	}
	if d.err != nil || !d.there() {
		return nil, d.err
	}
	return &s, nil
}
