package stateagent

import (
	"strings"
	"testing"
)

func TestMetricFilter(t *testing.T) {
	for name, tc := range map[string]struct {
		allow, deny, optIn []string
		kept, dropped      string
		optional           bool
	}{
		"everything":           {kept: "kube_pod_info", dropped: ""},
		"allowed anywhere":     {allow: []string{"pod_in"}, kept: "kube_pod_info", dropped: "kube_node_info"},
		"allowed tied":         {allow: []string{"^kube_pod_info$"}, kept: "kube_pod_info", dropped: "kube_pod_info_x"},
		"denied anywhere":      {deny: []string{"pod"}, kept: "kube_node_info", dropped: "kube_pod_info"},
		"looking ahead":        {allow: []string{"^kube_(?!secret)"}, kept: "kube_pod_info", dropped: "kube_secret_info"},
		"looking behind":       {deny: []string{"(?<!pod)_labels$"}, kept: "kube_pod_labels", dropped: "kube_node_labels"},
		"several":              {deny: []string{"^kube_secret_", "_labels$"}, kept: "kube_pod_info", dropped: "kube_pod_labels"},
		"optional":             {optional: true, dropped: "kube_pod_nodeselectors"},
		"optional, asked":      {optional: true, optIn: []string{"pod_nodesel"}, kept: "kube_pod_nodeselectors", dropped: "kube_persistentvolume_csi_attributes"},
		"optional, but denied": {optional: true, optIn: []string{"."}, deny: []string{"csi"}, kept: "kube_pod_nodeselectors", dropped: "kube_persistentvolume_csi_attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newMetricFilter(tc.allow, tc.deny, tc.optIn)
			if err != nil {
				t.Fatal(err)
			}
			if tc.kept != "" && !f.keep(tc.kept, tc.optional) {
				t.Errorf("%s is not kept", tc.kept)
			}
			if tc.dropped != "" && f.keep(tc.dropped, tc.optional) {
				t.Errorf("%s is kept", tc.dropped)
			}
		})
	}
}

func TestMetricFilterMistakes(t *testing.T) {
	for _, tc := range []struct {
		allow, deny, optIn []string
		want               string
	}{
		{[]string{"a"}, []string{"b"}, nil, "together"},
		{[]string{"("}, nil, nil, `--metric-allowlist: pattern "("`},
		{nil, []string{"["}, nil, `--metric-denylist: pattern "["`},
		{nil, nil, []string{"(?=a)"}, `--metric-opt-in-list: pattern "(?=a)"`},
	} {
		if _, err := newMetricFilter(tc.allow, tc.deny, tc.optIn); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

// A pattern that takes for ever costs its own effect only.
func TestMetricFilterEndless(t *testing.T) {
	f, err := newMetricFilter(nil, []string{"^(a+)+$", "^kube_pod"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.listed[0].MatchTimeout = 1
	if !f.keep(strings.Repeat("a", 40)+"!", false) {
		t.Error("the name is dropped by a pattern that was not found in it")
	}
	if f.keep("kube_pod_info", false) {
		t.Error("the other pattern has no effect")
	}
}
