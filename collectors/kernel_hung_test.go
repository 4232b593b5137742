package collectors

import (
	"strings"
	"testing"
)

func TestKernelHung(t *testing.T) {
	c := make1(t, "kernel_hung", on(tree(t, map[string]string{"proc/sys/kernel/hung_task_detect_count": "3\n"})))
	same(t, render(t, c), "# TYPE node_kernel_hung_tasks_total counter\nnode_kernel_hung_tasks_total 3\n")
}

func TestKernelHungBad(t *testing.T) {
	c := make1(t, "kernel_hung", on(tree(t, map[string]string{"proc/sys/kernel/hung_task_detect_count": "none\n"})))
	out, err := renderErr(c)
	if err == nil || out != "" || !strings.Contains(err.Error(), `hung_task_detect_count: "none"`) {
		t.Errorf("error %v, said %q", err, out)
	}
}
