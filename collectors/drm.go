package collectors

// Memory and load of AMD graphics cards, from /sys/class/drm (kernel:
// Documentation/gpu/amdgpu/driver-misc.rst). Other drivers tell nothing of this kind.
//
//	card0/device/uevent:             DRIVER=amdgpu
//	card0/device/gpu_busy_percent:   4
//	card0/device/mem_info_vram_used: 1490378752

import (
	"context"
	"slices"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var drmCardInfo = expo.Gauge("node_drm_card_info", "What a graphics card is, and its level of performance; always 1.",
	"card", "memory_vendor", "power_performance_level", "unique_id", "vendor")

// drmTexts are the files of the labels of drmCardInfo.
var drmTexts = [...]string{"device/mem_info_vram_vendor", "device/power_dpm_force_performance_level", "device/unique_id"}

var drmAttributes = []attribute{
	{"device/gpu_busy_percent", expo.Gauge("node_drm_gpu_busy_percent", "How busy the graphics processor is, in percent.", "card"), conversion{}},
	{"device/mem_info_gtt_total", expo.Gauge("node_drm_memory_gtt_size_bytes", "Memory of the host that the card can address.", "card"), conversion{}},
	{"device/mem_info_gtt_used", expo.Gauge("node_drm_memory_gtt_used_bytes", "Memory of the host that the card uses.", "card"), conversion{}},
	{"device/mem_info_vram_total", expo.Gauge("node_drm_memory_vram_size_bytes", "Memory of the card.", "card"), conversion{}},
	{"device/mem_info_vram_used", expo.Gauge("node_drm_memory_vram_used_bytes", "Memory of the card in use.", "card"), conversion{}},
	{"device/mem_info_vis_vram_total", expo.Gauge("node_drm_memory_vis_vram_size_bytes", "Memory of the card that the processor can address.", "card"), conversion{}},
	{"device/mem_info_vis_vram_used", expo.Gauge("node_drm_memory_vis_vram_used_bytes", "Memory of the card that the processor can address, in use.", "card"), conversion{}},
}

type drm struct {
	deviceClass
	dir   string
	cards []textRow
}

func newDRM(c Config) (Collector, error) {
	d := &drm{deviceClass: newDeviceClass(drmAttributes), dir: c.FS.SysPath("class/drm")}
	d.list = d.listCards
	return d, nil
}

// Collect implements Collector.
func (d *drm) Collect(_ context.Context, w *expo.Writer) error {
	var failed failures
	if err := d.refresh(); err != nil {
		failed.add(err)
	}
	for i := range d.cards {
		r := &d.cards[i]
		if r.read(&failed) {
			w.Sample(drmCardInfo, 1, r.device, r.texts[0], r.texts[1], r.texts[2], "amd")
		} else {
			d.stale = true
		}
	}
	d.write(w, &failed)
	return failed.err()
}

func (d *drm) listCards() error {
	for i := range d.cards {
		d.cards[i].close()
	}
	d.cards = d.cards[:0]
	names, err := hostfs.ReadDirNames(d.dir)
	if hostfs.Gone(err) {
		return nil
	}
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "card")
		if !ok || !isNumber(number) {
			continue // a connector such as card0-DP-1
		}
		uevent, err := hostfs.ReadTrimmed(d.dir + "/" + name + "/device/uevent")
		if err != nil || !slices.Contains(strings.Split(uevent, "\n"), "DRIVER=amdgpu") {
			continue // another driver's, or a card without a device below it
		}
		d.add(d.dir+"/"+name, name)
		d.cards = append(d.cards, newTextRow(d.dir, name, drmTexts[:]))
	}
	return err
}
