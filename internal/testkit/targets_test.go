package testkit

import "testing"

func TestTargets(t *testing.T) {
	got, err := Targets([]byte(`{"status":"success","data":{"activeTargets":[
		{"discoveredLabels":{"a":"b"},"labels":{"job":"b","instance":"192.0.2.1:39001"},"scrapePool":"b","scrapeUrl":"https://192.0.2.1:39001/metrics","health":"up"},
		{"labels":{"job":"a","x":"\""},"scrapePool":"a","scrapeUrl":"http://a/"}],
		"droppedTargets":[],"droppedTargetCounts":{"a":2,"b":0}}}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `a dropped 2
a http://a/ {job="a", x="\""}
b https://192.0.2.1:6443/metrics {instance="192.0.2.1:6443", job="b"}
`
	if string(got) != want {
		t.Error(Diff(want, string(got)))
	}
	for _, bad := range []string{"", `{"status":"error","error":"no"}`, "<html>"} {
		if got, err := Targets([]byte(bad)); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}
