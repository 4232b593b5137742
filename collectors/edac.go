package collectors

// Memory errors that the memory controllers found and corrected or could not
// correct, from /sys/devices/system/edac/mc (kernel:
// Documentation/admin-guide/RAS/main.rst):
//
//	mc0/ce_count:                   1    corrected errors of the controller
//	mc0/ce_noinfo_count:            0    of these, not known where
//	mc0/csrow2/ue_count:            0    uncorrected errors of a row of memory chips
//	mc0/csrow2/ch1_ce_count:        0    errors of a channel of that row
//	mc0/csrow2/ch1_dimm_label:      CPU_SrcID#0_MC#0_Chan#1_DIMM#0

import (
	"context"
	"slices"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	edacCorrectable          = expo.Counter("node_edac_correctable_errors_total", "Memory errors that the controller corrected.", "controller")
	edacUncorrectable        = expo.Counter("node_edac_uncorrectable_errors_total", "Memory errors that the controller could not correct.", "controller")
	edacRowCorrectable       = expo.Counter("node_edac_csrow_correctable_errors_total", "Corrected memory errors of a chip-select row, unknown where the row is not known.", "controller", "csrow")
	edacRowUncorrectable     = expo.Counter("node_edac_csrow_uncorrectable_errors_total", "Uncorrected memory errors of a chip-select row, unknown where the row is not known.", "controller", "csrow")
	edacChannelCorrectable   = expo.Counter("node_edac_channel_correctable_errors_total", "Corrected memory errors of a channel.", "channel", "controller", "csrow", "dimm_label")
	edacChannelUncorrectable = expo.Counter("node_edac_channel_uncorrectable_errors_total", "Uncorrected memory errors of a channel.", "channel", "controller", "csrow", "dimm_label")
)

// The places of the families in edacAttributes; the files of channels carry a
// number, so the files are given where they are listed.
const (
	edacCE = iota
	edacUE
	edacRowCE
	edacRowUE
	edacChannelCE
	edacChannelUE
)

var edacAttributes = []attribute{
	edacCE:        {"ce_count", edacCorrectable, conversion{}},
	edacUE:        {"ue_count", edacUncorrectable, conversion{}},
	edacRowCE:     {"ce_count", edacRowCorrectable, conversion{}},
	edacRowUE:     {"ue_count", edacRowUncorrectable, conversion{}},
	edacChannelCE: {"ce_count", edacChannelCorrectable, conversion{}},
	edacChannelUE: {"ue_count", edacChannelUncorrectable, conversion{}},
}

type edac struct {
	deviceClass
	dir string
}

func newEDAC(c Config) (Collector, error) {
	e := &edac{deviceClass: newDeviceClass(edacAttributes), dir: c.FS.SysPath("devices/system/edac/mc")}
	e.list = e.listControllers
	return e, nil
}

// Collect implements Collector. A host without controllers has no samples; that
// is not an error, nor does node_exporter take it for one.
func (e *edac) Collect(_ context.Context, w *expo.Writer) error {
	var failed failures
	if err := e.refresh(); err != nil {
		failed.add(err)
	}
	e.write(w, &failed)
	return failed.err()
}

func (e *edac) listControllers() error {
	names, err := hostfs.ReadDirNames(e.dir)
	if err != nil && !hostfs.Gone(err) {
		return err
	}
	var failed failures
	for _, name := range names {
		if controller, ok := strings.CutPrefix(name, "mc"); ok && isNumber(controller) {
			if err := e.listRows(e.dir+"/"+name, controller); err != nil && !hostfs.Gone(err) {
				failed.add(err)
			}
		}
	}
	return failed.err()
}

func (e *edac) listRows(dir, controller string) error {
	e.take(edacCE, dir+"/ce_count", controller)
	e.take(edacUE, dir+"/ue_count", controller)
	e.take(edacRowCE, dir+"/ce_noinfo_count", controller, "unknown")
	e.take(edacRowUE, dir+"/ue_noinfo_count", controller, "unknown")
	names, err := hostfs.ReadDirNames(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		row, ok := strings.CutPrefix(name, "csrow")
		if !ok || !isNumber(row) {
			continue
		}
		if err := e.listChannels(dir+"/"+name, controller, row); err != nil && !hostfs.Gone(err) {
			return err
		}
	}
	return nil
}

func (e *edac) listChannels(dir, controller, row string) error {
	e.take(edacRowCE, dir+"/ce_count", controller, row)
	e.take(edacRowUE, dir+"/ue_count", controller, row)
	files, err := hostfs.ReadDirNames(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		channel, ok := strings.CutPrefix(file, "ch")
		channel, ok2 := strings.CutSuffix(channel, "_ce_count")
		if !ok || !ok2 || !isNumber(channel) {
			continue
		}
		label := edacLabel(dir + "/ch" + channel + "_dimm_label")
		e.take(edacChannelCE, dir+"/"+file, channel, controller, row, label)
		if ue := "ch" + channel + "_ue_count"; slices.Contains(files, ue) {
			e.take(edacChannelUE, dir+"/"+ue, channel, controller, row, label)
		}
	}
	return nil
}

func (e *edac) take(i int, path string, labels ...string) { e.addFile(i, path, labels) }

// edacLabel is what the driver or the administrator called the module:
// mc#0csrow#2channel#1 becomes mc0_csrow2_channel1.
func edacLabel(path string) string {
	label, err := hostfs.ReadTrimmed(path)
	if err != nil {
		return "unknown"
	}
	return edacLabelWords.Replace(label)
}

var edacLabelWords = strings.NewReplacer("#", "", "csrow", "_csrow", "channel", "_channel")
