package collectors

import (
	"strings"
	"testing"
)

func TestDRM(t *testing.T) {
	files := map[string]string{
		"sys/class/drm/card0/device/uevent":                            "DRIVER=amdgpu\nPCI_CLASS=30000\n",
		"sys/class/drm/card0/device/gpu_busy_percent":                  "4\n",
		"sys/class/drm/card0/device/mem_info_vram_total":               "8573157376\n",
		"sys/class/drm/card0/device/mem_info_vram_vendor":              "samsung\n",
		"sys/class/drm/card0/device/power_dpm_force_performance_level": "manual\n",
		"sys/class/drm/card0/device/unique_id":                         "0417\n",
		"sys/class/drm/card1/device/uevent":                            "DRIVER=i915\n",
		"sys/class/drm/card12/device/uevent":                           "DRIVER=amdgpu\n",
		"sys/class/drm/card0-DP-1/status":                              "connected\n",
		"sys/class/drm/renderD128/dev":                                 "226:128\n",
	}
	same(t, render(t, make1(t, "drm", on(tree(t, files)))), `# TYPE node_drm_card_info gauge
node_drm_card_info{card="card0",memory_vendor="samsung",power_performance_level="manual",unique_id="0417",vendor="amd"} 1
node_drm_card_info{card="card12",memory_vendor="",power_performance_level="",unique_id="",vendor="amd"} 1
# TYPE node_drm_gpu_busy_percent gauge
node_drm_gpu_busy_percent{card="card0"} 4
# TYPE node_drm_memory_vram_size_bytes gauge
node_drm_memory_vram_size_bytes{card="card0"} 8573157376
`)
	files["sys/class/drm/card0/device/gpu_busy_percent"] = "busy\n"
	text, err := renderErr(make1(t, "drm", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "gpu_busy_percent") || len(values(t, text)) != 3 {
		t.Errorf("%v, said %s", err, text)
	}
}
