package collectors

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWatchdog(t *testing.T) {
	const dir = "sys/class/watchdog/watchdog0/"
	host := tree(t, map[string]string{
		dir + "bootstatus": "1\n", dir + "fw_version": "2\n", dir + "identity": "Software Watchdog\n", dir + "nowayout": "0\n",
		dir + "options": "0x8380\n", dir + "pretimeout": "120\n", dir + "pretimeout_governor": "noop\n", dir + "state": "active\n",
		dir + "status": "0x8000\n", dir + "timeout": "60\n",
		"sys/class/watchdog/watchdog1/": "",
	})
	c := make1(t, "watchdog", on(host))
	want := `# TYPE node_watchdog_info gauge
node_watchdog_info{identity="Software Watchdog",name="watchdog0",options="0x8380",pretimeout_governor="noop",state="active",status="0x8000"} 1
node_watchdog_info{identity="",name="watchdog1",options="",pretimeout_governor="",state="",status=""} 1
# TYPE node_watchdog_bootstatus gauge
node_watchdog_bootstatus{name="watchdog0"} 1
# TYPE node_watchdog_fw_version gauge
node_watchdog_fw_version{name="watchdog0"} 2
# TYPE node_watchdog_nowayout gauge
node_watchdog_nowayout{name="watchdog0"} 0
# TYPE node_watchdog_timeout_seconds gauge
node_watchdog_timeout_seconds{name="watchdog0"} 60
# TYPE node_watchdog_pretimeout_seconds gauge
node_watchdog_pretimeout_seconds{name="watchdog0"} 120
`
	same(t, render(t, c), want)

	// What changes is read each time, words too.
	write(t, filepath.Join(host.Sys, "class/watchdog/watchdog0/state"), "inactive\n", false)
	same(t, render(t, c), strings.Replace(want, `state="active"`, `state="inactive"`, 1))

	write(t, filepath.Join(host.Sys, "class/watchdog/watchdog0/timeout"), "never\n", false)
	text, err := renderErr(c)
	if err == nil || !strings.Contains(err.Error(), "watchdog0/timeout") || len(values(t, text)) != 6 {
		t.Errorf("%v, said %s", err, text)
	}
}
