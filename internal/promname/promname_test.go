package promname

import (
	"slices"
	"testing"
)

func TestLabels(t *testing.T) {
	for name, tc := range map[string]struct {
		labels map[string]string
		allow  []string
		want   []label
	}{
		"none":            {nil, []string{"*"}, nil},
		"names":           {map[string]string{"XMLHttpURL": "1", "fooBar": "2", "a1B": "3", "k8s.io/x-y": "4"}, []string{"*"}, []label{{"label_xmlhttp_url", "1"}, {"label_a1_b", "3"}, {"label_foo_bar", "2"}, {"label_k8s_io_x_y", "4"}}},
		"allowed":         {map[string]string{"app": "1", "app.kubernetes.io/name": "2", "team": "3"}, []string{"app.*/name", "team"}, []label{{"label_app_kubernetes_io_name", "2"}, {"label_team", "3"}}},
		"star at the end": {map[string]string{"app": "1", "apple": "2", "ap": "3"}, []string{"app*"}, []label{{"label_app", "1"}, {"label_apple", "2"}}},
		"clash":           {map[string]string{"a-b": "1", "a.b": "2", "a/b": "3"}, []string{"*"}, []label{{"label_a_b_conflict1", "1"}, {"label_a_b_conflict2", "2"}, {"label_a_b_conflict3", "3"}}},
		"clash of clashes": {map[string]string{"a-b": "1", "a.b": "2", "a_b_conflict1": "3"}, []string{"*"},
			[]label{{"label_a_b_conflict1_conflict1", "1"}, {"label_a_b_conflict2", "2"}, {"label_a_b_conflict1_conflict2", "3"}}},
		"number taken": {map[string]string{"A_b_conflict1": "0", "a-b": "1", "a.b": "2"}, []string{"*"},
			[]label{{"label_a_b_conflict1", "0"}, {"label_a_b_conflict2", "1"}, {"label_a_b_conflict3", "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []label
			for name, value := range Labels("label_", tc.labels, tc.allow) {
				got = append(got, label{name, value})
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
