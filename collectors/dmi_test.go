package collectors

import (
	"errors"
	"os"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

// The labels are those that can be read; one that is empty is still there.
func TestDMI(t *testing.T) {
	c := make1(t, "dmi", on(tree(t, map[string]string{
		"sys/class/dmi/id/bios_vendor":     "Heron \"Firmware\"\n",
		"sys/class/dmi/id/board_asset_tag": "\n",
		"sys/class/dmi/id/chassis_type":    "23\n",
		"sys/class/dmi/id/product_name":    "Marsh \xff200\n",
		"sys/class/dmi/id/sys_vendor":      " Heron Boards  \n",
		"sys/class/dmi/id/modalias":        "dmi:bvnHeron\n",
	})))
	want := "# TYPE node_dmi_info gauge\n" +
		`node_dmi_info{bios_vendor="Heron \"Firmware\"",board_asset_tag="",product_name="Marsh ` + "\uFFFD" + `200",system_vendor="Heron Boards"} 1` + "\n"
	same(t, render(t, c), want)
	if _, err := renderErr(make1(t, "dmi", on(tree(t, nil)))); !errors.Is(err, ErrNoData) {
		t.Errorf("a machine without DMI: %v", err)
	}
}

func TestDMILive(t *testing.T) {
	vendor, err := os.ReadFile("/sys/class/dmi/id/sys_vendor")
	if err != nil {
		t.Skip(err)
	}
	if text := render(t, make1(t, "dmi", on(hostfs.Default))); !strings.Contains(text, `system_vendor="`+strings.TrimSpace(string(vendor))+`"`) {
		t.Errorf("no %s in %s", vendor, text)
	}
}
