package collectors

import (
	"strings"
	"testing"
)

func TestBonding(t *testing.T) {
	files := map[string]string{
		"sys/class/net/bonding_masters":                           "bond0 bond1 gone empty bond0\n",
		"sys/class/net/bond0/bonding/slaves":                      "eth0 eth1 eth2 eth0\n",
		"sys/class/net/bond0/lower_eth0/bonding_slave/mii_status": "up\n",
		"sys/class/net/bond0/lower_eth1/bonding_slave/mii_status": "down\n",
		"sys/class/net/bond1/bonding/slaves":                      "eth3\n",
		"sys/class/net/bond1/slave_eth3/bonding_slave/mii_status": "up\n",
		"sys/class/net/empty/bonding/slaves":                      "\n",
	} // eth2 of bond0 is gone by now; what is there twice counts once
	want := `# TYPE node_bonding_slaves gauge
node_bonding_slaves{master="bond0"} 2
node_bonding_slaves{master="bond1"} 1
node_bonding_slaves{master="empty"} 0
# TYPE node_bonding_active gauge
node_bonding_active{master="bond0"} 1
node_bonding_active{master="bond1"} 1
node_bonding_active{master="empty"} 0
`
	same(t, render(t, make1(t, "bonding", on(tree(t, files)))), want)

	// One that cannot be read does not cost the others.
	files["sys/class/net/bond1/bonding/slaves"] = "-> ."
	text, err := renderErr(make1(t, "bonding", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "bond1") {
		t.Error(err)
	}
	same(t, text, strings.ReplaceAll(strings.ReplaceAll(want, `node_bonding_slaves{master="bond1"} 1`+"\n", ""), `node_bonding_active{master="bond1"} 1`+"\n", ""))
}
