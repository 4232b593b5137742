package collectors

import (
	"strings"
	"testing"
)

func edacTree() map[string]string {
	const mc = "sys/devices/system/edac/mc/mc0/"
	return map[string]string{
		mc + "ce_count": "7\n", mc + "ce_noinfo_count": "1\n", mc + "ue_count": "2\n", mc + "ue_noinfo_count": "0\n",
		mc + "csrow10/ce_count": "4\n", mc + "csrow10/ue_count": "1\n",
		mc + "csrow10/ch0_ce_count": "3\n", mc + "csrow10/ch0_ue_count": "1\n", mc + "csrow10/ch0_dimm_label": "mc#0csrow#10channel#0\n",
		mc + "csrow10/ch1_ce_count":               "1\n", // neither a label nor uncorrected errors
		mc + "power/control":                      "auto\n",
		"sys/devices/system/edac/mc/uevent":       "",
		"sys/devices/system/edac/mc/power/status": "",
	}
}

func TestEDAC(t *testing.T) {
	same(t, render(t, make1(t, "edac", on(tree(t, edacTree())))), `# TYPE node_edac_correctable_errors_total counter
node_edac_correctable_errors_total{controller="0"} 7
# TYPE node_edac_uncorrectable_errors_total counter
node_edac_uncorrectable_errors_total{controller="0"} 2
# TYPE node_edac_csrow_correctable_errors_total counter
node_edac_csrow_correctable_errors_total{controller="0",csrow="unknown"} 1
node_edac_csrow_correctable_errors_total{controller="0",csrow="10"} 4
# TYPE node_edac_csrow_uncorrectable_errors_total counter
node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="unknown"} 0
node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="10"} 1
# TYPE node_edac_channel_correctable_errors_total counter
node_edac_channel_correctable_errors_total{channel="0",controller="0",csrow="10",dimm_label="mc0_csrow10_channel0"} 3
node_edac_channel_correctable_errors_total{channel="1",controller="0",csrow="10",dimm_label="unknown"} 1
# TYPE node_edac_channel_uncorrectable_errors_total counter
node_edac_channel_uncorrectable_errors_total{channel="0",controller="0",csrow="10",dimm_label="mc0_csrow10_channel0"} 1
`)
}

func TestEDACBad(t *testing.T) {
	files := edacTree()
	files["sys/devices/system/edac/mc/mc0/csrow10/ue_count"] = "many\n"
	delete(files, "sys/devices/system/edac/mc/mc0/ce_noinfo_count")
	text, err := renderErr(make1(t, "edac", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "csrow10/ue_count") {
		t.Errorf("error %v", err)
	}
	if v := values(t, text); len(v) != 7 {
		t.Errorf("said %v", v)
	}
}
